/** A directory of sysfs that knows where it is, so that links out of it can be relative (the kernel's kobject). */
import { posix } from 'node:path';
import { Attribute, Directory, Symlink } from '../../devfs/nodes.js';

/**
 * The target of a link that stands in directory `from` and leads to `to`, both relative to the root of sysfs.
 * As fs/kernfs/symlink.c makes it, it climbs to a directory that *contains* `to`, and so ends in the name of `to`
 * even if that is an ancestor of the link: programs take the last component for the device's name.
 */
export function linkTarget(from: string, to: string): string {
  return posix.join(posix.relative(`/${from}`, `/${posix.dirname(to)}`), posix.basename(to));
}

export class Kobject {
  /** Relative to the root of sysfs. */
  readonly path: string;
  /** Not part of the tree until somebody adds it; its mtime is that of its last entry. */
  readonly directory = new Directory();

  constructor(path: string) {
    this.path = path;
  }

  /** A file of one value. `show` leaves out the newline that every such file ends with. */
  attribute(name: string, show: () => string | number | bigint, store?: (text: string) => void): void {
    this.directory.add(name, new Attribute(() => `${show()}\n`, store));
  }

  /** `to` is relative to the root of sysfs. */
  link(name: string, to: string): void {
    this.directory.add(name, new Symlink(linkTarget(this.path, to)));
  }

  /** A directory below, filled in by `populate`. */
  child(name: string, populate: (child: Kobject) => void): void {
    const child = new Kobject(posix.join(this.path, name));
    populate(child);
    this.directory.add(name, child.directory);
  }
}
