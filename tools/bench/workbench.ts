/** What all measurements need: a folder, the compiled programs, and a place to register what must be taken down. */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { Cleanup } from './cleanup.js';
import { compile, type Programs } from './programs.js';

export class Workbench {
  /** Run when a measurement ends. */
  readonly cleanup = new Cleanup();
  readonly folder: string;
  readonly programs: Programs;

  /** Throws an Error that says what is missing. */
  constructor() {
    if (process.getuid?.() !== 0) throw new Error('the bench mounts file systems: run it as root');
    try {
      accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    } catch (cause) {
      throw new Error('/dev/fuse is missing: load the module, or pass the device into the container', {
        cause,
      });
    }
    this.folder = mkdtempSync('/run/verbsim-bench-');
    try {
      this.programs = compile(this.folder);
    } catch (error) {
      this.#removeFolder();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.cleanup.close();
    await this.cleanup.run();
    this.#removeFolder();
  }

  #removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
