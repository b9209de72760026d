/** Where the gateway's settings are, as error messages name it. */
export const settingsPlace = 'system.config.yml, plugins.llm-cache';
