import { tracingChannel } from 'node:diagnostics_channel'
import { availableParallelism, constants, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MediaFailure } from './failure.ts'
import {
  crashed,
  damaged,
  diskFull,
  endless,
  outgrown,
  outOfMemory,
  stalled,
  timedOut,
  toolMissing,
  tooManyStreams,
} from './run-failures.ts'
import {
  filesOf,
  findProgram,
  findSandbox,
  memoryBound,
  startConfined,
  type Child,
  type Sandbox,
  type Started,
} from './sandbox.ts'
import { killStragglers, type Mark } from './stragglers.ts'
import { refuseUnhardened } from './whitelist.ts'

const SECOND = 1000
const STDERR_KEPT = 8 * 1024
const GRACE_MS = 3 * SECOND
const MIB = 1024 ** 2
const GIB = 1024 ** 3

/** Half a million complaints: no film is worth reading on. */
const STDERR_MOST = 64 * MIB
const STDOUT_KEPT = 4 * MIB
/** Reports of progress: six hours of them take 35 MB. */
const PROGRESS_MOST = 64 * MIB

export interface Progress {
  frames: number
  /** How far the output reaches. */
  outTimeMs: number
  sizeBytes: number
  /** Film seconds per second; null while unknown. */
  speed: number | null
}

export interface Run {
  /** To be found on PATH, or an absolute path. */
  bin: string
  /**
   * What they name as `file:/…` can be read, and nothing else of ours. Every `-i` needs its options
   * of `whitelist.ts` before it.
   */
  args: string[]
  signal: AbortSignal
  /** Absolute; the only folder that can be written. Without, nothing can. */
  cwd?: string
  /** Wall clock. Over it, the run is killed and fails as `timed_out`. */
  limitMs: number
  /** Longest time without a change in progress, before it is killed as `stalled`. */
  stallMs?: number
  /** No file may grow beyond this; ended as `verification_failed`. 64 GiB if not told. */
  maxFileBytes?: number
  /** What confines it; the best that the machine has, unless told. */
  sandbox?: Sandbox
  /** Called at every report; what it throws kills the run and is thrown on. */
  onProgress?: (progress: Progress) => void
}

export interface Finished {
  exitCode: number
  stdout: string
  /** The last few KB. For the log and for classification, never for viewers. */
  stderr: string
}

/** For whoever watches: each run of a program, from its start until nothing is left of it. */
export const toolRuns = tracingChannel<ToolRun>('videoflix:media-tool')

export interface ToolRun {
  bin: string
  result?: unknown
  error?: unknown
}

/**
 * Runs ffmpeg or ffprobe: the only place of the project that does. The child gets no secrets, no
 * stdin, low priority, limits, a sandbox as good as the machine has, and nothing of it is left when
 * this settles.
 *
 * Resolves with any exit code (they lie both ways; look at the output). Throws the signal's reason
 * (an Error) when aborted, and MediaFailure `timed_out`, `stalled`, `encoder_crashed` (ended by a signal that
 * is not ours), `disk_full`, `out_of_memory`, `tool_missing`, `verification_failed` (a file outgrew
 * its limit), `undecodable` (complaints without end).
 */
export async function run(run: Run): Promise<Finished> {
  refuseUnhardened(run.args)
  run.signal.throwIfAborted()
  const sandbox = run.sandbox ?? (await findSandbox())
  run.signal.throwIfAborted()
  const bin = findProgram(run.bin)
  if (bin === null) throw toolMissing(`${run.bin} is not there`)
  return await toolRuns.tracePromise(() => follow(run, sandbox, bin), { bin })
}

function follow(run: Run, sandbox: Sandbox, bin: string): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const { child, mark, abandon } = start(run, sandbox, bin)
    const stderr = new Tail(STDERR_KEPT)
    const watch = new Watch(run, child, abandon)
    let stdout = ''

    child.stderr.on('data', (chunk: Buffer) => {
      stderr.push(chunk)
      if (stderr.pushed > STDERR_MOST) watch.stop(damaged(stderr.text()))
    })
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      if (run.onProgress !== undefined) watch.read(text)
      else if (stdout.length < STDOUT_KEPT) stdout += text
      else watch.stop(endless())
    })
    child.once('error', (error) => {
      watch.end()
      reject(toolMissing(error.message))
    })
    // A grandchild may still hold our pipes: it goes first, then 'close' can come.
    let gone = Promise.resolve()
    child.once('exit', () => {
      gone = endAll(child, sandbox, mark)
    })
    child.once('close', (code, signalName) => {
      watch.end()
      const tail = stderr.text()
      const failure = watch.cause ?? failureOf(code, signalName, tail, run)
      void gone.then(() => {
        if (failure !== null) reject(failure)
        else resolve({ exitCode: code ?? 0, stdout, stderr: tail })
      })
    })
  })
}

function start(run: Run, sandbox: Sandbox, bin: string): Started {
  const { args, cwd } = run
  const reads = [...filesOf(bin), ...inputsOf(args)]
  const bounds = boundsOf(run)
  const env = { PATH: process.env['PATH'] ?? '', LANG: 'C' }
  return startConfined(sandbox, { bin, args, cwd, reads, bounds }, env)
}

function inputsOf(args: string[]): string[] {
  return args.filter((arg) => arg.startsWith('file:/')).map((arg) => arg.slice('file:'.length))
}

/** CPU time cannot pass the wall clock on every core, unless our own clock has stopped. */
function boundsOf(run: Run): { cpuSeconds: number; memoryBytes: number; fileBytes: number } {
  const fileBytes = run.maxFileBytes ?? 64 * GIB
  return {
    cpuSeconds: (run.limitMs / SECOND) * availableParallelism() + 10,
    memoryBytes: memoryBound(Math.min(totalmem(), process.constrainedMemory() || Infinity)),
    fileBytes: run.cwd === undefined ? 0 : fileBytes,
  }
}

/** The namespace has ended with its first process; where there is none, what is left is hunted. */
async function endAll(child: Child, sandbox: Sandbox, mark: Mark): Promise<void> {
  kill(child, 'SIGKILL')
  if (sandbox.bubblewrap !== null) return
  await killStragglers(mark)
  void letGo(child)
}

/**
 * Whoever still holds our pipes is not to hold us. Waits twice: where something has kept us busy, the
 * first timer rings before what is left in the pipes has been read.
 */
async function letGo({ stdout, stderr }: Child): Promise<void> {
  await sleep(SECOND, undefined, { ref: false })
  await sleep(SECOND, undefined, { ref: false })
  stdout.destroy()
  stderr.destroy()
}

/** Null when the program has come to its own end. */
function failureOf(
  code: number | null,
  signalName: NodeJS.Signals | null,
  stderr: string,
  run: Run,
): MediaFailure | null {
  if (/No space left on device|Disk quota exceeded/.test(stderr)) return diskFull(stderr)
  if (/exceeds max_streams/.test(stderr)) return tooManyStreams(stderr) // “Cannot allocate memory” follows
  if (/Cannot allocate memory/.test(stderr)) return outOfMemory(stderr)
  const signal = signalName ?? SIGNAL_OF_CODE.get(code ?? 0) ?? null
  if (signal === 'SIGXFSZ') return outgrown(stderr)
  if (signal === 'SIGXCPU') return timedOut(run.limitMs)
  if (signal !== null) return crashed(signal, stderr)
  const wasStarted = code !== 126 && code !== 127 && !stderr.startsWith('bwrap: ')
  return wasStarted ? null : toolMissing(stderr)
}

/** bubblewrap and shells give 128 and the number of the signal that ended the program. */
const SIGNAL_OF_CODE = new Map(
  (
    [
      ...['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGKILL', 'SIGSEGV', 'SIGTERM'],
      ...['SIGXCPU', 'SIGXFSZ', 'SIGSYS'],
    ] as NodeJS.Signals[]
  ).map((name) => [128 + constants.signals[name], name]),
)

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
  readonly #abandon: () => void
  readonly #wall: NodeJS.Timeout
  readonly #stall: NodeJS.Timeout | undefined
  #grace: NodeJS.Timeout | undefined
  #line = ''
  #readBytes = 0
  #report = new Map<string, string>()
  #last = ''
  readonly #onAbort = (): void => this.stop(this.#run.signal.reason)

  constructor(run: Run, child: Child, abandon: () => void) {
    this.#run = run
    this.#child = child
    this.#abandon = abandon
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
    this.#abandon()
    kill(this.#child, 'SIGTERM')
    this.#grace = setTimeout(() => kill(this.#child, 'SIGKILL'), GRACE_MS)
  }

  /** `-progress` writes `key=value` lines; a report ends with `progress=…`. */
  read(text: string): void {
    this.#readBytes += text.length
    if (this.#readBytes > PROGRESS_MOST) this.stop(endless())
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
  pushed = 0
  readonly #limit: number
  #kept = Buffer.alloc(0)

  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Buffer): void {
    this.pushed += chunk.length
    this.#kept = Buffer.concat([this.#kept, chunk.subarray(-this.#limit)]).subarray(-this.#limit)
  }

  text(): string {
    return this.#kept.toString('utf8')
  }
}
