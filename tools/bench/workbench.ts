/** What all measurements need: a folder, the compiled programs, and a place to register what must be taken down. */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import type { Cleanup } from './cleanup.js';
import { compile, type Programs } from './programs.js';

export class Workbench {
  /** Run when a measurement ends. */
  readonly cleanup: Cleanup;
  readonly folder: string;
  #programs: Programs | undefined;

  /** Throws an Error that says what is missing. */
  constructor(cleanup: Cleanup) {
    if (process.getuid?.() !== 0) throw new Error('the bench mounts file systems: run it as root');
    try {
      accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    } catch (cause) {
      throw new Error('/dev/fuse is missing: load the module, or pass the device into the container', {
        cause,
      });
    }
    this.cleanup = cleanup;
    this.folder = mkdtempSync('/run/verbsim-bench-');
  }

  /** Throws an Error with the compiler's words. */
  async compile(): Promise<void> {
    this.#programs = await compile(this.cleanup, this.folder);
  }

  /** Paths of the compiled programs. */
  get programs(): Programs {
    if (this.#programs === undefined) throw new Error('the programs are not compiled yet');
    return this.#programs;
  }

  async close(): Promise<void> {
    this.cleanup.close();
    await this.cleanup.run();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
