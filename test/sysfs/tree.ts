/** Walks over a node tree as a client's system calls would, links included. */
import type { Attribute, Directory, Node } from '../../devfs/nodes.js';

/** The path from the root, without links, that a path leads to (realpath(3)). Throws an Error if it leads nowhere. */
export function realPath(root: Directory, path: string): string {
  let parts: string[] = [];
  const pending = path.split('/');
  for (let steps = 0; pending.length > 0; steps++) {
    if (steps > 100) throw new Error(`${path} goes round in circles`);
    const name = pending.shift()!;
    if (name === '..') {
      if (parts.length === 0) throw new Error(`${path} leads out of the tree`);
      parts = parts.slice(0, -1);
      continue;
    }
    const node = nodeAt(root, [...parts, name]);
    if (node.kind === 'symlink') pending.unshift(...node.target.split('/'));
    else parts.push(name);
  }
  return parts.join('/');
}

function nodeAt(root: Directory, parts: string[]): Node {
  return parts.reduce<Node>((node, name) => {
    const next = node.kind === 'directory' ? node.entries.get(name) : undefined;
    if (next === undefined) throw new Error(`there is no ${parts.join('/')}`);
    return next;
  }, root);
}

export function resolve(root: Directory, path: string): Node {
  return nodeAt(root, realPath(root, path).split('/'));
}

export function directoryAt(root: Directory, path: string): Directory {
  const node = resolve(root, path);
  if (node.kind !== 'directory') throw new Error(`${path} is a ${node.kind}`);
  return node;
}

export function attributeAt(root: Directory, path: string): Attribute {
  const node = resolve(root, path);
  if (node.kind !== 'attribute') throw new Error(`${path} is a ${node.kind}`);
  return node;
}

/** The content of a file. */
export function read(root: Directory, path: string): string {
  return attributeAt(root, path).show();
}

export function write(root: Directory, path: string, text: string): void {
  attributeAt(root, path).store(text);
}

/** What readlink(2) says. */
export function linkAt(root: Directory, path: string): string {
  const parent = directoryAt(root, path.slice(0, path.lastIndexOf('/')));
  const node = parent.entries.get(path.slice(path.lastIndexOf('/') + 1));
  if (node?.kind !== 'symlink') throw new Error(`${path} is not a link`);
  return node.target;
}

/** Names in a directory. */
export function list(root: Directory, path: string): string[] {
  return [...directoryAt(root, path).entries.keys()];
}

/** Every path below, sorted, with what is there: a `/` behind directories, ` -> target` behind links. */
export function listing(directory: Directory, prefix = ''): string[] {
  return [...directory.entries]
    .flatMap(([name, node]) => {
      const path = prefix + name;
      if (node.kind === 'directory') return [`${path}/`, ...listing(node, `${path}/`)];
      return [node.kind === 'symlink' ? `${path} -> ${node.target}` : path];
    })
    .sort();
}
