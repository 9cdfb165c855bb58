/**
 * Changes to the configuration files, planned as text before anything is written: comments and order of what is there stay, and what
 * would be written is first read as muster itself reads it.
 */
import { stat } from 'node:fs/promises'
import { Document, isMap, isSeq, parseDocument } from 'yaml'
import type { Scope } from './fault.js'
import { readOwnFile } from './file.js'
import { parseConfig } from './parse.js'
import type { MachineInput, SshInput } from './schema.js'
import type { FileChange } from './write.js'

/** A file that may be changed, with who may say what in it. */
export interface ConfigPlace {
  readonly path: string
  readonly scope: Scope
}

/** A change of what a file says. */
export type Edit = (document: Document) => void

/** Adds a machine; `first` are those that a list which is new begins with. */
export function addMachine(machine: MachineInput, first: readonly MachineInput[]): Edit {
  return (document) => {
    if (!isSeq(document.get('machines'))) document.set('machines', document.createNode([]))
    const list = document.get('machines')
    if (!isSeq(list)) return
    for (const one of list.items.length === 0 ? [...first, machine] : [machine])
      list.add(document.createNode(one, { flow: true }))
  }
}

/** Removes a machine; a list that is then empty goes, too. */
export function removeMachine(name: string): Edit {
  return (document) => {
    const list = document.get('machines')
    if (!isSeq(list)) return
    const index = list.items.findIndex((item) => isMap(item) && item.get('name') === name)
    if (index >= 0) list.delete(index)
    if (list.items.length === 0) document.delete('machines')
  }
}

/** Says how a machine is reached. For the user's own file only. */
export function setSsh(name: string, settings: SshInput): Edit {
  return (document) => {
    document.setIn(['ssh', name], document.createNode(settings))
  }
}

/** Removes what is said of the way to a machine. */
export function removeSsh(name: string): Edit {
  return (document) => {
    if (!document.hasIn(['ssh', name])) return
    document.deleteIn(['ssh', name])
    const rest = document.get('ssh')
    if (isMap(rest) && rest.items.length === 0) document.delete('ssh')
  }
}

/** Plans a change of one file; undefined where it would change nothing. Throws CONFIG_INVALID, CONFIG_UNSAFE. */
export async function planChange(
  { path, scope }: ConfigPlace,
  edits: readonly Edit[],
): Promise<FileChange | undefined> {
  const before = await readOwnFile(path)
  // Refused as it is, before anything of it is changed.
  if (before !== undefined) parseConfig(path, before, scope)
  const document: Document = before === undefined ? new Document({}) : parseDocument(before)
  const was = JSON.stringify(document.toJS())
  for (const edit of edits) edit(document)
  if (JSON.stringify(document.toJS()) === was) return undefined
  const after = document.toString({ lineWidth: 0 })
  parseConfig(path, after, scope)
  const mode = scope.of === 'user' ? 0o600 : before === undefined ? 0o644 : (await stat(path)).mode & 0o777
  return { path, before, after, mode }
}
