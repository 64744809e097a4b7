import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Cost {
  cpuSeconds: number
  wallSeconds: number
  /** Of the largest process. */
  peakMemoryMb: number
}

/** GNU time counts a process and all of its children that were waited for. */
export function timed(
  bin: string,
  args: string[],
  workDir: string,
  env: NodeJS.ProcessEnv = process.env,
): Cost {
  const report = join(workDir, 'time')
  const began = performance.now()
  const { status } = spawnSync('/usr/bin/time', ['-o', report, '-f', '%U %S %M', bin, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  })
  if (status !== 0) throw new Error(`${bin} ended with ${status}`)
  const told = readFileSync(report, 'utf8').trim().split(' ').map(Number)
  const [user = 0, system = 0, peakKib = 0] = told
  return {
    cpuSeconds: user + system,
    wallSeconds: (performance.now() - began) / 1000,
    peakMemoryMb: Math.round((peakKib * 1024) / 1e6),
  }
}

export function added(costs: Cost[]): Cost {
  return costs.reduce((a, b) => ({
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    wallSeconds: a.wallSeconds + b.wallSeconds,
    peakMemoryMb: Math.max(a.peakMemoryMb, b.peakMemoryMb),
  }))
}

export function median(costs: Cost[], key: keyof Cost): number {
  const sorted = costs.map((cost) => cost[key]).sort((a, b) => a - b)
  return Number((sorted[Math.floor(sorted.length / 2)] ?? Number.NaN).toFixed(2))
}

export interface Size {
  width: number
  height: number
}

export function sizeOf(path: string): Size {
  const select = ['-v', 'error', '-select_streams', 'v:0', '-show_entries', 'stream=width,height']
  const told = execFileSync('ffprobe', [...select, '-of', 'csv=p=0', path], { encoding: 'utf8' })
  const [width = 0, height = 0] = told.split(',').map(Number)
  return { width, height }
}

/** Bytes of all packets of one kind of stream, without any container. */
export function streamBytes(path: string, kind: 'v' | 'a'): number {
  const select = ['-v', 'error', '-select_streams', kind, '-show_entries', 'packet=size']
  const told = execFileSync('ffprobe', [...select, '-of', 'csv=p=0', path], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  return told.split('\n').reduce((sum, size) => sum + (Number.parseInt(size, 10) || 0), 0)
}

/** Of all pictures against the source's, both at the same size by the same scaler; 0 to 1. */
export function ssim(path: string, source: string, height: number): number {
  const from = sizeOf(source)
  const width = Math.round((from.width * height) / from.height / 2) * 2
  const fit = `scale=${width}:${height}:flags=bicubic,setsar=1,format=yuv420p`
  const graph = `[0:v]${fit}[a];[1:v]${fit}[b];[a][b]ssim=shortest=1`
  const args = ['-nostdin', '-nostats', '-i', path, '-i', source, '-filter_complex', graph]
  const { stderr } = spawnSync('ffmpeg', [...args, '-f', 'null', '-'], { encoding: 'utf8' })
  return Number(/All:([\d.]+)/.exec(stderr)?.[1] ?? Number.NaN)
}

/**
 * Bytes that an encoder would need for the SSIM of another one, from two of its own results: on a
 * straight line of the logarithm of bytes over SSIM in decibels.
 */
export function bytesAtSsim(
  one: { bytes: number; ssim: number },
  other: { bytes: number; ssim: number },
  wanted: number,
): number {
  const decibels = (value: number): number => -10 * Math.log10(1 - value)
  const [x1, x2] = [decibels(one.ssim), decibels(other.ssim)]
  const slope = (Math.log(other.bytes) - Math.log(one.bytes)) / (x2 - x1)
  return Math.exp(Math.log(one.bytes) + slope * (decibels(wanted) - x1))
}
