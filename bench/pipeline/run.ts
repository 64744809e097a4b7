import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { animated, filmed, small } from './films.ts'
import {
  added,
  bytesAtSsim,
  median,
  sizeOf,
  ssim,
  streamBytes,
  timed,
  type Cost,
} from './measure.ts'

/**
 * Our pipeline against the five commands of the original, on the same sources in one run. See
 * README.md beside this file.
 */
const script = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))
const HEIGHTS = [120, 360, 720, 1080]

interface Film {
  name: string
  path: string
  /** Most CPU time, of the original's: every rung encoded, and with the source's own copied. */
  targets: { encode: number; copy: number }
}

const FILMS: Film[] = [
  { name: 'drawn, 1080p', path: animated(), targets: { encode: 0.62, copy: 0.36 } },
  { name: 'filmed, 1080p', path: filmed(), targets: { encode: 0.78, copy: 0.36 } },
  { name: 'drawn, 480p', path: small(), targets: { encode: 0.36, copy: 0.15 } },
]

const rounds = Number(process.argv[2] ?? 1)
console.log(`${cpus().length} cores, ${ffmpegVersion()}, ${rounds} round(s), CPU = user + system`)
const verdicts = FILMS.flatMap(compare)
for (const verdict of verdicts) console.log(verdict.text)
process.exitCode = verdicts.every(({ holds }) => holds) ? 0 : 1

interface Verdict {
  holds: boolean
  text: string
}

function compare(film: Film): Verdict[] {
  const work = mkdtempSync(join(tmpdir(), 'videoflix-bench-'))
  try {
    const env = { ...process.env, PATH: toolsWithoutSandbox(work) }
    const costs: Record<'original' | 'encode' | 'copy', Cost[]> = {
      original: [],
      encode: [],
      copy: [],
    }
    for (let round = 0; round < rounds; round += 1) {
      costs.original.push(runOriginal(film.path, work))
      for (const how of ['encode', 'copy'] as const) {
        costs[how].push(runOurs(film.path, emptied(work, how), how, env))
      }
    }
    printCosts(film, costs)
    const rows = rungRows(film.path, work, env)
    console.table(rows)
    return [...costVerdicts(film, costs), ...rungVerdicts(film, rows), storageVerdict(film, work)]
  } finally {
    rmSync(work, { recursive: true })
  }
}

function printCosts({ name }: Film, costs: Record<string, Cost[]>): void {
  const of = (kind: string) => ({
    cpu: median(costs[kind] ?? [], 'cpuSeconds'),
    wall: median(costs[kind] ?? [], 'wallSeconds'),
    'largest process, MB': median(costs[kind] ?? [], 'peakMemoryMb'),
    'CPU ratio': ratio(costs, kind, 'cpuSeconds'),
    'wall ratio': ratio(costs, kind, 'wallSeconds'),
  })
  console.log(`\n${name}`)
  console.table({
    original: of('original'),
    'ours, all encoded': of('encode'),
    'ours, one copied': of('copy'),
  })
}

function ratio(costs: Record<string, Cost[]>, kind: string, key: keyof Cost): number {
  return two(median(costs[kind] ?? [], key) / median(costs['original'] ?? [], key))
}

function costVerdicts({ name, targets }: Film, costs: Record<string, Cost[]>): Verdict[] {
  return (['encode', 'copy'] as const).map((how) => {
    const told = ratio(costs, how, 'cpuSeconds')
    return verdict(
      told <= targets[how],
      name,
      `CPU ratio ${told} (${how}, at most ${targets[how]})`,
    )
  })
}

function rungVerdicts({ name }: Film, rows: RungRow[]): Verdict[] {
  const better = rows.every((row) => row['SSIM ours'] >= row['SSIM original'])
  const frugal = rows.every((row) => row['bytes at equal SSIM'] <= 1.05)
  const bytes = rows.map((row) => row['bytes ours'])
  const ascending = bytes.every((size, index) => index === 0 || size > (bytes[index - 1] ?? 0))
  return [
    verdict(better, name, 'no rung has a lower SSIM than the original'),
    verdict(frugal, name, 'no rung needs more than 1.05 of the bytes at equal SSIM'),
    verdict(ascending, name, 'no rung is larger than the one above it'),
  ]
}

/** MP4, HLS and DASH in one file against MP4 alone. */
function storageVerdict({ name }: Film, work: string): Verdict {
  const plain = join(work, 'plain.mp4')
  let [stored, alone] = [0, 0]
  for (const { path } of renditionsIn(join(work, 'encode'))) {
    const args = ['-v', 'error', '-nostdin', '-y', '-i', path, '-c', 'copy']
    execFileSync('ffmpeg', [...args, '-movflags', '+faststart', plain])
    stored += statSync(path).size
    alone += statSync(plain).size
  }
  const told = Number((stored / alone).toFixed(4))
  return verdict(told <= 1.02, name, `stored bytes, to plain MP4s: ${told} (at most 1.02)`)
}

function verdict(holds: boolean, name: string, text: string): Verdict {
  return { holds, text: `${holds ? 'holds' : 'FAILS'}  ${name}: ${text}` }
}

function runOriginal(source: string, work: string): Cost {
  const renditions = HEIGHTS.map((height) => [
    ...['-y', '-i', source, '-vf', `scale=-2:${height}`, '-c:v', 'libx264'],
    ...['-preset', 'veryfast', '-crf', '28', '-c:a', 'aac', '-movflags', '+faststart'],
    join(work, `original-${height}.mp4`),
  ])
  const poster = ['-y', '-ss', '1.0', '-i', source, '-vframes', '1', '-q:v', '2']
  const commands = [...renditions, [...poster, join(work, 'original.jpg')]]
  return added(commands.map((args) => timed('ffmpeg', ['-v', 'error', '-nostdin', ...args], work)))
}

/** The whole of it, probing, packaging and verifying included; only the start of Node is not, as a worker has it behind it. */
function runOurs(source: string, out: string, how: string, env: NodeJS.ProcessEnv): Cost {
  const cost = timed(process.execPath, [script('ours.ts'), source, out, how], join(out, '..'), env)
  const startSeconds = Number(readFileSync(join(out, 'start.json'), 'utf8'))
  return { ...cost, cpuSeconds: cost.cpuSeconds - startSeconds }
}

/** Without bubblewrap, which nobody waits for inside of its namespace, so that GNU time would not see the encoder. */
function toolsWithoutSandbox(work: string): string {
  const folder = emptied(work, 'tools')
  for (const tool of ['ffmpeg', 'ffprobe', 'setpriv']) {
    const found = (process.env['PATH'] ?? '')
      .split(delimiter)
      .map((path) => join(path, tool))
      .find((path) => existsSync(path))
    if (found !== undefined) symlinkSync(realpathSync(found), join(folder, tool))
  }
  return folder
}

function emptied(work: string, name: string): string {
  const folder = join(work, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  return folder
}

interface StoredRendition {
  rung: string
  path: string
}

function renditionsIn(folder: string): StoredRendition[] {
  return JSON.parse(readFileSync(join(folder, 'renditions.json'), 'utf8')) as StoredRendition[]
}

interface RungRow {
  rung: string
  'SSIM original': number
  'SSIM ours': number
  'bytes ours': number
  /** Of the original's file. */
  bytes: number
  'bytes at equal SSIM': number
  'the same of pictures alone': number
}

/** The original upscales; where our ladder has no such rung, there is nothing to compare. */
function rungRows(source: string, work: string, env: NodeJS.ProcessEnv): RungRow[] {
  const coarser = emptied(work, 'coarser')
  timed(process.execPath, [script('coarser.ts'), source, coarser], work, env)
  return renditionsIn(join(work, 'encode')).map(({ rung, path }) => {
    const theirs = join(work, `original-${Number.parseInt(rung, 10)}.mp4`)
    const { height } = sizeOf(path)
    const measured = (file: string) => ({
      bytes: streamBytes(file, 'v'),
      // At the source's own size ours is compared with the original's, scaled back to it.
      ssim: ssim(file, source, height),
    })
    const [original, ours] = [measured(theirs), measured(path)]
    const other = measured(join(coarser, `${rung}.video.mp4`))
    const atEqualSsim = bytesAtSsim(ours, other, original.ssim)
    const [ourFile, theirFile] = [statSync(path).size, statSync(theirs).size]
    return {
      rung: `${height}p` === rung ? rung : `${rung} (at ${height})`,
      'SSIM original': original.ssim,
      'SSIM ours': ours.ssim,
      'bytes ours': ourFile,
      bytes: two(ourFile / theirFile),
      'bytes at equal SSIM': two((ourFile - ours.bytes + atEqualSsim) / theirFile),
      'the same of pictures alone': two(atEqualSsim / original.bytes),
    }
  })
}

function two(value: number): number {
  return Number(value.toFixed(2))
}

function ffmpegVersion(): string {
  return execFileSync('ffmpeg', ['-version'], { encoding: 'utf8' }).split(' ').slice(0, 3).join(' ')
}
