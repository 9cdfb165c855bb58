/** What all commands share: how one is declared, and how its outcome becomes an exit code. */
import type { Command } from 'commander'
import type { Io } from '../io.js'

/** What a command is given. */
export interface Surroundings {
  readonly io: Io
  /** Sets the exit code that main() ends with; 0 unless set. */
  readonly exit: (code: number) => void
  /** Prints an error and goes on. */
  readonly report: (error: unknown, json: boolean) => void
}

/** Adds one command to the program. */
export type AddCommand = (program: Command, surroundings: Surroundings) => void

/** The option that every command has. */
export const JSON_OPTION = ['--json', 'print one JSON object a line'] as const
