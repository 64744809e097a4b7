import type { MediaTools } from './tools.ts'

/** What every step of a film's processing is given. */
export interface MediaJob {
  tools: MediaTools
  /** Exists and is empty. Everything is written here; removing it is the caller's. */
  workDir: string
  /** Aborting kills what runs, and rejects with the signal's reason once it is gone. */
  signal: AbortSignal
  /** Cores to use. */
  threads: number
  /** Longest time without progress of a program, before it is killed. */
  stallMs: number
  onProgress?: (progress: StepProgress) => void
  /** Told before a program is started: its whole command line. */
  onCommand?: (command: string) => void
}

/** A step that reads the original. */
export interface SourceJob extends MediaJob {
  /** Absolute. */
  sourcePath: string
}

/** How far a step is. */
export interface StepProgress {
  /** 0 to 1. */
  share: number
  /** Film seconds per second; null while unknown. */
  speed: number | null
  etaSeconds: number | null
}

/** As it could be pasted into a shell. */
export function commandLine(bin: string, args: string[]): string {
  return [bin, ...args].map(quoted).join(' ')
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** `totalMs` is 0 where unknown. */
export function progressOf(doneMs: number, totalMs: number, speed: number | null): StepProgress {
  const share = totalMs > 0 ? Math.min(1, doneMs / totalMs) : 0
  const isTold = totalMs > 0 && speed !== null && speed > 0
  const etaSeconds = isTold ? Math.max(0, Math.ceil((totalMs - doneMs) / 1000 / speed)) : null
  return { share, speed, etaSeconds }
}
