import { run } from './ffmpeg.ts'
import { findSandbox, type Sandbox } from './sandbox.ts'

/** Where the two programs are: a name to be found on PATH, or an absolute path. */
export interface MediaTools {
  ffmpegBin: string
  ffprobeBin: string
}

export interface ToolProblem {
  what: string
  remedy: string
}

export interface ToolReport {
  /** Of ffmpeg, as it tells; null when it cannot be started. */
  version: string | null
  /** Any of these makes processing impossible. */
  problems: ToolProblem[]
  /** Processing works without these, but worse. */
  warnings: ToolProblem[]
  /** Whether HDR can be tone-mapped: filters `zscale` and `tonemap` are there. */
  canToneMap: boolean
  /** What the tools are confined by. */
  sandbox: Sandbox
}

const INSTALL = 'Install ffmpeg 5.1 or newer (Debian, Ubuntu: apt install ffmpeg).'
const FULL_BUILD = 'Install a build of ffmpeg that has it; those of Debian and Ubuntu do.'
const OLDEST = [5, 1] as const

/** Looks at the tools without opening a file; five short processes side by side, about 0.1 s. */
export async function inspectTools(tools: MediaTools): Promise<ToolReport> {
  const sandbox = await findSandbox()
  const [version, probeVersion, encoders, filters, muxers] = await Promise.all([
    listing(tools.ffmpegBin, '-version'),
    listing(tools.ffprobeBin, '-version'),
    listing(tools.ffmpegBin, '-encoders'),
    listing(tools.ffmpegBin, '-filters'),
    listing(tools.ffmpegBin, '-muxers'),
  ])
  const problems: ToolProblem[] = []
  const warnings = gaps(sandbox)
  if (probeVersion === null) {
    problems.push({ what: `ffprobe cannot be started (${tools.ffprobeBin}).`, remedy: INSTALL })
  }
  if (version === null) {
    problems.push({ what: `ffmpeg cannot be started (${tools.ffmpegBin}).`, remedy: INSTALL })
    return { version: null, problems, warnings, canToneMap: false, sandbox }
  }
  const told = /version (\S+)/.exec(version)?.[1] ?? 'unknown'
  if (isTooOld(told)) problems.push({ what: `ffmpeg is version ${told}.`, remedy: INSTALL })
  problems.push(
    ...missing('encoder', encoders, ['libx264', 'aac', 'mjpeg']),
    ...missing('filter', filters, ['scale', 'split', 'select', 'bwdif', 'aresample']),
    ...missing('muxer', muxers, ['mp4', 'image2']),
  )
  const toneMapping = missing('filter', filters, ['zscale', 'tonemap'])
  warnings.push(...toneMapping)
  return { version: told, problems, warnings, canToneMap: toneMapping.length === 0, sandbox }
}

/** Where a hostile file that finds a flaw in a decoder would have less in its way. */
export function gaps({ bubblewrap, setpriv, complaint }: Sandbox): ToolProblem[] {
  const isMissing = complaint === 'it is not installed'
  return [
    ...(bubblewrap !== null
      ? []
      : [
          {
            what: `ffmpeg runs without bubblewrap (${complaint}): it could see our files and the network.`,
            remedy: isMissing
              ? 'Install bubblewrap (Debian, Ubuntu: apt install bubblewrap).'
              : 'Allow user namespaces: docs/media.md, “Hostile files”.',
          },
        ]),
    ...(setpriv !== null
      ? []
      : [
          {
            what: 'ffmpeg may outlive a killed worker: there is no setpriv with --pdeathsig.',
            remedy: 'Install util-linux.',
          },
        ]),
  ]
}

/** Builds from git (`N-12345-g…`) tell no version; they are taken to be new. */
function isTooOld(version: string): boolean {
  const told = /^n?(\d+)\.(\d+)/.exec(version)
  if (told === null) return false
  const [major, minor] = [Number(told[1]), Number(told[2])]
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}

function missing(kind: string, list: string | null, names: string[]): ToolProblem[] {
  const present = new Set((list ?? '').split('\n').map((line) => line.trim().split(/\s+/)[1]))
  return names
    .filter((name) => !present.has(name))
    .map((name) => ({ what: `ffmpeg has no ${kind} ${name}.`, remedy: FULL_BUILD }))
}

/** Null when it cannot be started, fails, or says nothing for five seconds. */
async function listing(bin: string, option: string): Promise<string | null> {
  const { signal } = new AbortController()
  try {
    const args = ['-hide_banner', option]
    const { exitCode, stdout } = await run({ bin, args, signal, limitMs: 5_000 })
    return exitCode === 0 ? stdout : null
  } catch {
    return null
  }
}
