import { createRequire } from 'node:module';

/** Of the package; compiled files live two folders below dist. */
export const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string };
