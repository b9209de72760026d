/** The part of the gateway's logger that the plugin uses. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
