import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { setPriority } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'
import { MediaFailure } from './failure.ts'

const SECOND = 1000
const STDERR_KEPT = 8 * 1024
const GRACE_MS = 3 * SECOND
const GIB = 1024 ** 3

export interface Progress {
  frames: number
  /** How far the output reaches. */
  outTimeMs: number
  sizeBytes: number
  /** Film seconds per second; null while unknown. */
  speed: number | null
}

export interface Run {
  bin: string
  args: string[]
  signal: AbortSignal
  cwd?: string
  /** Wall clock. Over it, the run is killed and fails as `timed_out`. */
  limitMs: number
  /** Longest time without a change in progress, before it is killed as `stalled`. */
  stallMs?: number
  /** No file may grow beyond this. */
  maxFileBytes?: number
  /** Called at every report; what it throws kills the run and is thrown on. */
  onProgress?: (progress: Progress) => void
}

export interface Finished {
  exitCode: number
  stdout: string
  /** The last few KB. For the log and for classification, never for viewers. */
  stderr: string
}

const STDOUT_KEPT = 4 * 1024 * 1024

/**
 * Runs ffmpeg or ffprobe: the only place of the project that does. The child gets no secrets, no
 * stdin, low priority, limits, and a process group of its own that is gone when this settles.
 *
 * Resolves with any exit code (they lie both ways; look at the output). Throws the signal's reason
 * (an Error) when aborted, and MediaFailure `timed_out`, `stalled`, `encoder_crashed` (ended by a signal that
 * is not ours), `disk_full`, `out_of_memory`, `tool_missing`.
 */
export function run(run: Run): Promise<Finished> {
  run.signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const child = start(run)
    const stderr = new Tail(STDERR_KEPT)
    const watch = new Watch(run, child)
    let stdout = ''

    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      if (run.onProgress !== undefined) watch.read(text)
      else if (stdout.length < STDOUT_KEPT) stdout += text
      else watch.stop(new MediaFailure('not_a_video', 'The file describes itself without end.'))
    })
    child.once('error', (error) => {
      watch.end()
      reject(toolMissing(error.message))
    })
    // A grandchild may still hold our pipes: the group goes first, then 'close' can come.
    child.once('exit', () => kill(child, 'SIGKILL'))
    child.once('close', (code, signalName) => {
      watch.end()
      const tail = stderr.text()
      if (watch.cause !== undefined) reject(watch.cause)
      else if (/No space left on device|Disk quota exceeded/.test(tail)) reject(diskFull(tail))
      else if (/Cannot allocate memory/.test(tail)) reject(outOfMemory(tail))
      else if (code === null) reject(crashed(signalName, tail))
      else if (code === 126 || code === 127)
        reject(toolMissing(tail)) // by our wrappers
      else resolve({ exitCode: code, stdout, stderr: tail })
    })
  })
}

type Child = ChildProcessByStdio<null, Readable, Readable>

function start(run: Run): Child {
  const [bin, ...args] = [...confinement(run.maxFileBytes), run.bin, ...run.args]
  const child = spawn(bin ?? run.bin, args, {
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', LANG: 'C' },
  })
  if (child.pid !== undefined) lowerPriority(child.pid)
  return child
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, 10)
  } catch {
    // It has already ended, or the system forbids it; neither matters.
  }
}

/** Wrappers of util-linux, where they exist: die with our process, gain no rights, stay in bounds. */
function confinement(maxFileBytes = 256 * GIB): string[] {
  const setpriv = onPath('setpriv')
  const prlimit = onPath('prlimit')
  return [
    ...(setpriv === null ? [] : [setpriv, '--pdeathsig', 'KILL', '--no-new-privs', '--']),
    ...(prlimit === null
      ? []
      : [prlimit, '--core=0', '--nofile=256', `--as=${12 * GIB}`, `--fsize=${maxFileBytes}`, '--']),
  ]
}

const found = new Map<string, string | null>()

function onPath(name: string): string | null {
  const known = found.get(name)
  if (known !== undefined) return known
  const dirs = process.platform === 'linux' ? (process.env['PATH'] ?? '').split(delimiter) : []
  const path = dirs.map((dir) => join(dir, name)).find(isExecutable) ?? null
  found.set(name, path)
  return path
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** To the whole group. It may be gone already. */
function kill(child: Child, signalName: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signalName)
  } catch {
    // ESRCH: nobody left.
  }
}

/** Ends a child that is aborted, too slow or stuck, and remembers why. */
class Watch {
  cause: Error | undefined
  readonly #run: Run
  readonly #child: Child
  readonly #wall: NodeJS.Timeout
  readonly #stall: NodeJS.Timeout | undefined
  #grace: NodeJS.Timeout | undefined
  #line = ''
  #report = new Map<string, string>()
  #last = ''
  readonly #onAbort = (): void => this.stop(this.#run.signal.reason)

  constructor(run: Run, child: Child) {
    this.#run = run
    this.#child = child
    this.#wall = setTimeout(() => this.stop(timedOut(run.limitMs)), run.limitMs)
    const { stallMs } = run
    if (stallMs !== undefined) {
      this.#stall = setTimeout(() => this.stop(stalled(stallMs)), stallMs)
    }
    run.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  stop(cause: unknown): void {
    if (this.cause !== undefined) return
    this.cause = cause instanceof Error ? cause : new Error('aborted', { cause })
    kill(this.#child, 'SIGTERM')
    this.#grace = setTimeout(() => kill(this.#child, 'SIGKILL'), GRACE_MS)
  }

  /** `-progress` writes `key=value` lines; a report ends with `progress=…`. */
  read(text: string): void {
    const lines = (this.#line + text).split('\n')
    this.#line = lines.pop()?.slice(-256) ?? ''
    for (const line of lines) {
      const [key = '', value = ''] = line.split('=', 2)
      if (key === 'progress') this.#tell()
      else if (this.#report.size < 100) this.#report.set(key, value.trim())
    }
  }

  #tell(): void {
    const progress: Progress = {
      frames: numberOf(this.#report.get('frame')) ?? 0,
      outTimeMs: Math.max(0, (numberOf(this.#report.get('out_time_us')) ?? 0) / 1000),
      sizeBytes: numberOf(this.#report.get('total_size')) ?? 0,
      speed: numberOf(this.#report.get('speed')?.replace(/x$/, '')),
    }
    this.#report = new Map()
    const seen = `${progress.frames} ${progress.outTimeMs} ${progress.sizeBytes}`
    if (seen !== this.#last) this.#stall?.refresh()
    this.#last = seen
    try {
      this.#run.onProgress?.(progress)
    } catch (error) {
      this.stop(error)
    }
  }

  end(): void {
    clearTimeout(this.#wall)
    clearTimeout(this.#stall)
    clearTimeout(this.#grace)
    this.#run.signal.removeEventListener('abort', this.#onAbort)
  }
}

function numberOf(text: string | undefined): number | null {
  const number = Number.parseFloat(text ?? '')
  return Number.isFinite(number) ? number : null
}

/** The end of what was written, whatever was written. */
class Tail {
  readonly #limit: number
  #kept = Buffer.alloc(0)

  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Buffer): void {
    this.#kept = Buffer.concat([this.#kept, chunk.subarray(-this.#limit)]).subarray(-this.#limit)
  }

  text(): string {
    return this.#kept.toString('utf8')
  }
}

function toolMissing(detail: string): MediaFailure {
  const sentence = 'A media tool could not be started. Try again when it has been installed.'
  return new MediaFailure('tool_missing', sentence, detail)
}

function timedOut(limitMs: number): MediaFailure {
  const minutes = Math.max(1, Math.round(limitMs / SECOND / 60))
  const sentence = `Processing took longer than the ${minutes} min allowed. Try again, or upload a shorter or smaller version.`
  return new MediaFailure('timed_out', sentence)
}

function stalled(stallMs: number): MediaFailure {
  const seconds = Math.round(stallMs / SECOND)
  return new MediaFailure('stalled', `Processing stood still for ${seconds} s. Try again.`)
}

function crashed(signalName: string | null, detail: string): MediaFailure {
  const sentence = 'The media tool crashed on this file. If it happens again, convert the film.'
  return new MediaFailure('encoder_crashed', sentence, `${signalName ?? 'no code'}: ${detail}`)
}

function diskFull(detail: string): MediaFailure {
  const sentence = 'The disk became full while processing. Free some space, then try again.'
  return new MediaFailure('disk_full', sentence, detail)
}

function outOfMemory(detail: string): MediaFailure {
  const sentence = 'Processing ran out of memory. Try again when the machine is less busy.'
  return new MediaFailure('out_of_memory', sentence, detail)
}
