import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { accessSync, constants, realpathSync, writeFileSync } from 'node:fs'
import { availableParallelism, setPriority } from 'node:os'
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { killOrphans, newMark, type Mark } from './stragglers.ts'

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const PROBE_MS = 5_000

/** What this machine offers to confine a program with. */
export interface Sandbox {
  /** Path of bubblewrap; null where it is missing or may not make namespaces. */
  bubblewrap: string | null
  /** Path of a setpriv that can have a child killed with its parent; null without. */
  setpriv: string | null
  /** Whether a child gets limits and asks whether its parent lives: on Linux. */
  isLimited: boolean
  /** Why there is no bubblewrap: it is not installed, or what it complained about. */
  complaint: string | null
}

export interface Bounds {
  /** Of all threads together. */
  cpuSeconds: number
  /** Memory that one process may write to. */
  memoryBytes: number
  /** No file may grow beyond. */
  fileBytes: number
}

export interface Start {
  /** Absolute. */
  bin: string
  args: readonly string[]
  /** The only folder that can be written; absolute. */
  cwd: string | undefined
  /** Files and folders it is to see besides; absolute. Those that are not there are left out. */
  reads: readonly string[]
  bounds: Bounds
}

let finding: Promise<Sandbox> | undefined

/** Found by trying, once in the life of the process: a few milliseconds. */
export function findSandbox(): Promise<Sandbox> {
  finding ??= killOrphans().then(() => trySandbox(findProgram))
  return finding
}

export async function trySandbox(find: (name: string) => string | null): Promise<Sandbox> {
  const none = { bubblewrap: null, setpriv: null, isLimited: false }
  if (process.platform !== 'linux') return { ...none, complaint: 'it exists on Linux only' }
  // BusyBox has a setpriv that does not know about death signals.
  const setpriv = find('setpriv')
  const dies = setpriv !== null && (await complaintOf({ ...none, setpriv })) === null
  const limited = { ...none, setpriv: dies ? setpriv : null, isLimited: true }
  const bubblewrap = find('bwrap')
  if (bubblewrap === null) return { ...limited, complaint: 'it is not installed' }
  const complaint = await complaintOf({ ...limited, bubblewrap })
  return { ...limited, bubblewrap: complaint === null ? bubblewrap : null, complaint }
}

/** Of a start in it that does nothing; null when it ends well. */
function complaintOf(sandbox: Omit<Sandbox, 'complaint'>): Promise<string | null> {
  const bounds = { cpuSeconds: 1, memoryBytes: GIB, fileBytes: 0 }
  const nothing = { bin: '/bin/sh', args: ['-c', ':'], cwd: undefined, reads: [], bounds }
  const { child, abandon } = startConfined({ ...sandbox, complaint: null }, nothing, {})
  const patience = setTimeout(() => {
    abandon()
    child.kill('SIGKILL')
  }, PROBE_MS)
  let told = ''
  child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString('utf8')))
  return new Promise((resolve) => {
    child.once('error', (error) => (told = error.message))
    child.once('close', (code) => {
      clearTimeout(patience)
      resolve(code === 0 ? null : told.trim().split('\n')[0]?.slice(0, 200) || 'it hangs')
    })
  })
}

export type Child = ChildProcessByStdio<null, Readable, Readable>

export interface Started {
  child: Child
  mark: Mark
  abandon: () => void
}

/**
 * Starts a program confined, in a process group of its own, at low priority. It begins its work only
 * once all that is to end it with us is in place: `abandon` it before killing it, or a kill in the
 * first milliseconds may leave some of it waiting.
 */
export function startConfined(
  sandbox: Sandbox,
  start: Start,
  env: Record<string, string>,
): Started {
  const mark = newMark()
  const [bin, ...args] = confined(sandbox, start)
  const child = spawn(bin, args, {
    ...(start.cwd === undefined ? {} : { cwd: start.cwd }),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...env, ...mark.environment },
  })
  if (child.pid !== undefined) standBack(child.pid)
  const lifeline = child.stdio[3] as Duplex
  lifeline.on('error', () => undefined) // it has ended before it asked
  lifeline.once('data', () => lifeline.end('go\n'))
  return { child: child as Child, mark, abandon: () => lifeline.destroy() }
}

/** The server goes first for the processor, and last when memory runs out. */
function standBack(pid: number): void {
  try {
    setPriority(pid, 10)
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/oom_score_adj`, '1000')
  } catch {
    // It has already ended, or the system forbids it; neither matters.
  }
}

/** Where a program is: on PATH, or at its absolute path; null if it is not there. */
export function findProgram(name: string): string | null {
  if (isAbsolute(name)) return isExecutable(name) ? name : null
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute)
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The whole command line that runs a program confined. Pure. */
export function confined(sandbox: Sandbox, start: Start): [string, ...string[]] {
  const command = [
    ...(sandbox.setpriv === null ? [] : dieWithParent(sandbox.setpriv)),
    ...(sandbox.bubblewrap === null ? [] : boxed(sandbox.bubblewrap, start)),
    ...(sandbox.isLimited ? limited(start.bounds) : []),
    start.bin,
    ...start.args,
  ]
  return command as [string, ...string[]]
}

function dieWithParent(setpriv: string): string[] {
  return [setpriv, '--pdeathsig', 'KILL', '--no-new-privs', '--']
}

/**
 * The limits of a shell, as they are on every system and cost one process. A limit that is lower
 * already stays.
 *
 * Then it asks on descriptor 3 whether we still live, and waits for the answer. Both setpriv and
 * bubblewrap ask for their death with their parent a moment after they were started: when the parent
 * dies within that moment, nobody would ever end them.
 *
 * NOTE: No limit on the number of processes: it counts all those of the user, ours included.
 */
const LIMIT = [
  '{ ulimit -c 0; ulimit -n 256; ulimit -t "$1"; ulimit -d "$2"; ulimit -v "$3"; ulimit -f "$4"',
  '} 2>/dev/null; shift 4; echo >&3; read -r go <&3 || exit 125; exec 3>&- "$@"',
].join('; ')

function limited({ cpuSeconds, memoryBytes, fileBytes }: Bounds): string[] {
  const kib = (bytes: number): string => String(Math.ceil(bytes / 1024))
  return [
    ...['/bin/sh', '-c', LIMIT, 'sh', String(Math.ceil(cpuSeconds)), kib(memoryBytes)],
    ...[kib(addressBytes(memoryBytes)), String(Math.ceil(fileBytes / 512))],
  ]
}

/** Allocators reserve 64 MiB for each of up to eight arenas a core, without using them. */
function addressBytes(memoryBytes: number): number {
  return memoryBytes + 2 * GIB + availableParallelism() * 512 * MIB
}

/** Three quarters of the machine's or container's memory, so that the rest of it lives on. */
export function memoryBound(totalBytes: number): number {
  return Math.min(12 * GIB, Math.max(GIB, Math.round(totalBytes * 0.75)))
}

const SYSTEM = ['/usr', '/bin', '/lib', '/lib32', '/lib64', '/nix/store', '/gnu/store']
const LOADER = ['/etc/ld.so.cache', '/etc/alternatives']

/**
 * It sees the system's libraries, the files it is to read and its own folder, and can write to that
 * folder alone: no network, no other processes, no devices but the harmless ones, no /proc, no /tmp.
 */
function boxed(bubblewrap: string, { cwd, reads }: Start): string[] {
  const visible = (path: string): string[] => ['--ro-bind-try', path, path]
  return [
    ...[bubblewrap, '--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
    ...[...SYSTEM, ...LOADER].flatMap(visible),
    ...['--dev', '/dev', '--remount-ro', '/dev'],
    ...(cwd === undefined ? [] : ['--bind', cwd, cwd]),
    ...reads.flatMap(visible),
    ...['--remount-ro', '/', '--chdir', cwd ?? '/', '--'],
  ]
}

/** What a program outside of the system's folders needs to be seen for: itself and its libraries. */
export function filesOf(bin: string): string[] {
  return [...new Set([bin, realpathSync(bin)])]
    .filter((path) => !SYSTEM.some((folder) => path.startsWith(`${folder}/`)))
    .flatMap((path) => {
      const prefix = dirname(dirname(path))
      if (basename(dirname(path)) !== 'bin') return [path]
      return ['bin', 'lib', 'lib64', 'opt', 'Cellar'].map((folder) => join(prefix, folder))
    })
}
