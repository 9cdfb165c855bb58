/** What is shown of a job while it runs, and in the end. */
import { formatDuration, formatSize, isTerminal } from '@muster/core'
import type { Artifact, JobRecord } from '@muster/sdk'
import { dirname } from 'node:path'
import type { Io } from '../io.js'
import { elapsed, inColour, outcome, stateText } from './job.js'
import { sanitize } from './sanitize.js'

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/** One live line: a sign of life, what is going on, where, for how long, how far, and why it waits. */
export function liveLine(job: JobRecord, { clock, colors }: Io, why = ''): string {
  const frame = FRAMES[Math.floor(clock.monotonic() / 200) % FRAMES.length] ?? ''
  const progress = job.progress
    ? `${Math.round(job.progress.fraction * 100)}% ${sanitize(job.progress.message, false)}`
    : ''
  const reason = isTerminal(job.state) ? '' : sanitize(why, false)
  const parts = [job.id.slice(-8), phase(job), elapsed(job, clock.now()), progress, reason]
  return `${inColour(colors, job.state, frame)} ${parts.filter((part) => part !== '').join(' · ')}`
}

/** What a job is going through, in words. */
export function phase(job: JobRecord): string {
  const where = job.machine === null ? '' : ` on ${job.machine}`
  if (job.conditions.cancelRequested) return `cancelling${where}`
  switch (job.state) {
    case 'pending':
      return job.attempt === 0 ? 'waiting' : 'waiting for the next attempt'
    case 'queued':
      return 'queued'
    case 'scheduled':
      return `setting up${where}`
    default:
      return `${stateText(job)}${where}`
  }
}

/** How it ended, in one or two lines. */
export function summary(job: JobRecord, artifacts: readonly Artifact[], { colors }: Io): string[] {
  const ran = job.startedAt !== null && job.endedAt !== null ? ` in ${formatDuration(job.endedAt - job.startedAt)}` : ''
  const lines = [`${inColour(colors, job.state, outcome(job))}${ran} ${colors.dim(`(job ${job.id})`)}`]
  if (artifacts.length > 0) lines.push(artifactsInWords(artifacts))
  return lines
}

/** How many artifacts there are, and where. */
export function artifactsInWords(artifacts: readonly Artifact[]): string {
  const bytes = artifacts.reduce((sum, artifact) => sum + artifact.bytes, 0)
  const [first, second] = artifacts
  if (!first) return 'no artifacts'
  return second
    ? `${artifacts.length} artifacts (${formatSize(bytes)}) in ${rootOf(first)}`
    : `artifact ${first.file} (${formatSize(bytes)})`
}

/** The directory that an artifact's relative path begins in. */
function rootOf({ file, path }: Artifact): string {
  return dirname(file.slice(0, file.length - path.length) + '_')
}
