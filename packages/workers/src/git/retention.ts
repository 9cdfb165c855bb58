/**
 * How long the controller's mirrors live. A pin counts as used when a submit or a launch asked for it and on each day on which a job
 * that names it has not ended; its file's age says when that was. Pins unused for 30 days are dropped, and a mirror without
 * pins, not borrowed from for as long, goes as a whole. Invariant: what is removed could not be found any more before its age
 * was looked at for the last time, so whoever found it in time keeps it, and whoever comes later fetches again.
 */
import { open, lstat, readdir, rename, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, JsonValue, Logger } from '@muster/core'
import { ifMissing } from './errno.js'
import { payloadSchema } from './input.js'
import { withFileLock } from './lock.js'
import { keepRef, markUsed } from './mirror.js'
import { isOlder, removeLitter, repackIfMany } from './tidy.js'

/** Days after which what nobody used goes, here and on machines. */
export const UNUSED_DAYS = 30
const DAY_MS = 86_400_000

/** What a tidying needs besides what is needed. */
export interface TidyContext {
  /** The worker's mirrors directory. */
  readonly mirrors: string
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly logger: Logger
}

/** Tidies the mirrors beside the record, at most once a day however often it is asked. */
export async function tidyHere(needed: AsyncIterable<JsonValue>, context: TidyContext): Promise<void> {
  const { mirrors, clock, signal, logger } = context
  const stamp = join(mirrors, 'tidied')
  const last = await lstat(stamp).catch(ifMissing(undefined))
  if (last !== undefined && last.mtimeMs > clock.now() - DAY_MS) return
  const names = await readdir(mirrors).catch(ifMissing([]))
  if (names.length === 0) return
  await markNeeded(needed, context)
  const ids = new Set(names.flatMap((name) => /^([0-9a-f]{32}(?:-full)?)\.git(?:\.gone)?$/.exec(name)?.[1] ?? []))
  for (const id of ids) {
    signal.throwIfAborted()
    const directory = join(mirrors, `${id}.git`)
    const gone = await withFileLock(`${directory}.lock`, context, () => tidyMirror(directory, context))
    if (gone) logger.info({ mirror: directory }, 'removed a mirror that nobody used for 30 days')
  }
  await (await open(stamp, 'w', 0o600)).close()
  await markUsed(stamp, clock)
}

/** Keeps the pins of jobs that have not ended, however long they wait or run. */
async function markNeeded(needed: AsyncIterable<JsonValue>, { mirrors, clock }: TidyContext): Promise<void> {
  for await (const recorded of needed) {
    const payload = payloadSchema.safeParse(recorded).data
    if (payload) await markUsed(join(mirrors, `${payload.mirror}.git`, keepRef(payload.commit)), clock)
  }
}

/** Under the mirror's lock. Says whether the mirror is gone. */
async function tidyMirror(directory: string, context: TidyContext): Promise<boolean> {
  await bringBack(directory)
  if (!(await isOurs(directory))) return false
  await removeLitter(directory, context.clock)
  const since = context.clock.now() - UNUSED_DAYS * DAY_MS
  await dropPins(directory, since)
  if (await isUnused(directory, since)) return removeWhole(directory, since)
  await repackIfMany(directory, context)
  return false
}

/** A removal that was interrupted: it is decided again. */
async function bringBack(directory: string): Promise<void> {
  if ((await lstat(directory).catch(ifMissing(undefined))) !== undefined)
    await rm(`${directory}.gone`, { recursive: true, force: true })
  else await rename(`${directory}.gone`, directory).catch(ifMissing(undefined))
}

async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(ifMissing(undefined))
  const head = await lstat(join(directory, 'HEAD')).catch(ifMissing(undefined))
  const me = process.geteuid?.()
  return found?.isDirectory() === true && head?.isFile() === true && (me === undefined || found.uid === me)
}

async function dropPins(directory: string, since: number): Promise<void> {
  for (const pin of await pinsOf(directory)) {
    if (!(await isOlder(pin, since))) continue
    // Under a name that nobody asks for, and that counts as litter where we are killed.
    await rename(pin, `${pin}.lock`)
    if (await isOlder(`${pin}.lock`, since)) await unlink(`${pin}.lock`)
    else await rename(`${pin}.lock`, pin)
  }
}

async function isUnused(directory: string, since: number): Promise<boolean> {
  return (await pinsOf(directory)).length === 0 && (await isOlder(join(directory, 'HEAD'), since))
}

async function removeWhole(directory: string, since: number): Promise<boolean> {
  await rename(directory, `${directory}.gone`)
  if (await isUnused(`${directory}.gone`, since)) {
    await rm(`${directory}.gone`, { recursive: true, force: true })
    return true
  }
  await rename(`${directory}.gone`, directory)
  return false
}

async function pinsOf(directory: string): Promise<string[]> {
  const keep = join(directory, 'refs/muster/keep')
  const names = await readdir(keep).catch(ifMissing([]))
  return names.filter((name) => /^[0-9a-f]{40,64}$/.test(name)).map((name) => join(keep, name))
}
