/** The Express door where version 0.1 had it, for code that loads the built file by its path. */
export * from './hosts/express/index.ts';
