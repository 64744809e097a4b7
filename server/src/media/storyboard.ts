import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MediaFailure } from './failure.ts'
import { run } from './ffmpeg.ts'
import type { MediaTools } from './tools.ts'
import { vttTime } from './vtt-time.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Sheets of small pictures for seeking. Stored as JSON. */
export interface Storyboard {
  /** From one picture to the next. */
  intervalMs: number
  tileWidth: number
  tileHeight: number
  columns: number
  rows: number
  /** How many pictures there are on all sheets. */
  tiles: number
  /** Object keys of the JPEGs, in order. */
  sheets: string[]
}

/** Up to this length, a film has a picture every 2 s; from five times of it on, every 10 s. */
const SHORT_FILM_MS = 10 * MINUTE

/** From one picture to the next, in whole seconds; `durationMs` is 0 where it is unknown. */
export function storyboardInterval(durationMs: number): number {
  if (durationMs <= 0) return 5 * SECOND
  const grown = Math.ceil((2 * durationMs) / SHORT_FILM_MS)
  return Math.min(10, Math.max(2, grown)) * SECOND
}

/** Of one small picture: even, 160 wide where the film is upright no more than wide, else 90 high. */
export function tileSize(width: number, height: number): { width: number; height: number } {
  return width >= height
    ? { width: 160, height: even((160 * height) / width) }
    : { width: even((90 * width) / height), height: 90 }
}

function even(length: number): number {
  return Math.max(2, 2 * Math.round(length / 2))
}

interface SheetsJob {
  tools: MediaTools
  workDir: string
  /** Name in `workDir`: JPEG pictures of one size, one after the other. */
  framesFile: string
  signal: AbortSignal
}

/** What a storyboard needs to know, but for the interval; the files in place of their keys. */
interface Sheets extends Omit<Storyboard, 'intervalMs' | 'sheets'> {
  paths: string[]
}

const MOST_A_SIDE = 10
/** Two hours of a film with many details stay below 2 MB. */
const SHEET_QUALITY = '6'
const OUR_OWN_JPEGS = ['-protocol_whitelist', 'file', '-codec_whitelist', 'mjpeg', '-f', 'mjpeg']

/**
 * Lays the pictures out on sheets of 10×10, `storyboard-001.jpg` and so on in `workDir`. The last
 * sheet may be partly black; a film of fewer pictures has one sheet that is no larger than it must
 * be. May run again. Throws MediaFailure `verification_failed`.
 */
export async function makeSheets(job: SheetsJob): Promise<Sheets> {
  const { tiles, tileWidth, tileHeight } = await countPictures(job)
  const columns = Math.min(MOST_A_SIDE, tiles)
  const rows = Math.min(MOST_A_SIDE, Math.ceil(tiles / columns))
  const { exitCode, stderr } = await run({
    bin: job.tools.ffmpegBin,
    args: sheetArgs(job.framesFile, columns, rows),
    cwd: job.workDir,
    signal: job.signal,
    limitMs: 5 * MINUTE,
  })
  const expected = Math.ceil(tiles / (columns * rows))
  const paths = (await sheetFiles(job.workDir)).slice(0, expected)
  if (exitCode !== 0 || paths.length !== expected) throw notMade(stderr)
  return { tiles, tileWidth, tileHeight, columns, rows, paths }
}

function sheetArgs(framesFile: string, columns: number, rows: number): string[] {
  return [
    ...['-hide_banner', '-v', 'error', '-nostdin', '-y', '-xerror'],
    ...[...OUR_OWN_JPEGS, '-i', `file:${framesFile}`, '-vf', `tile=${columns}x${rows}`],
    ...['-fps_mode', 'passthrough', '-c:v', 'mjpeg', '-q:v', SHEET_QUALITY, '-threads', '1'],
    ...['-fflags', '+bitexact', '-flags:v', '+bitexact', '-f', 'image2', 'storyboard-%03d.jpg'],
  ]
}

async function sheetFiles(workDir: string): Promise<string[]> {
  const names = await readdir(workDir)
  return names
    .filter((name) => /^storyboard-\d+\.jpg$/.test(name))
    .sort()
    .map((name) => join(workDir, name))
}

const answerShape = z.object({
  streams: z.tuple([
    z.object({
      width: z.int().positive(),
      height: z.int().positive(),
      nb_read_packets: z.coerce.number().int().positive(),
    }),
  ]),
})

async function countPictures(
  job: SheetsJob,
): Promise<Pick<Sheets, 'tiles' | 'tileWidth' | 'tileHeight'>> {
  const { exitCode, stdout, stderr } = await run({
    bin: job.tools.ffprobeBin,
    args: [
      ...['-v', 'error', ...OUR_OWN_JPEGS, '-count_packets', '-of', 'json=c=1'],
      ...['-show_entries', 'stream=width,height,nb_read_packets', `file:${job.framesFile}`],
    ],
    cwd: job.workDir,
    signal: job.signal,
    limitMs: MINUTE,
  })
  const answer = answerShape.safeParse(exitCode === 0 ? JSON.parse(stdout) : null)
  if (!answer.success) throw notMade(stderr)
  const [{ width, height, nb_read_packets: tiles }] = answer.data.streams
  return { tiles, tileWidth: width, tileHeight: height }
}

function notMade(detail: string): MediaFailure {
  const sentence = 'The small pictures for seeking could not be made. Try again.'
  return new MediaFailure('verification_failed', sentence, detail)
}

/**
 * WebVTT that shows players which part of which sheet belongs to which time, as spatial media
 * fragments (W3C Media Fragments URI 1.0 §4.2.2). The last cue ends with the film, or lasts an
 * interval where `durationMs` is 0.
 */
export function storyboardVtt(
  storyboard: Storyboard,
  durationMs: number,
  urlOf: (key: string) => string,
): string {
  const { intervalMs, tileWidth, tileHeight, columns, rows, tiles, sheets } = storyboard
  const urls = sheets.map(urlOf)
  const shown = Math.min(tiles, durationMs > 0 ? Math.ceil(durationMs / intervalMs) : tiles)
  const cues = Array.from({ length: shown }, (_, index) => {
    const isLast = index === shown - 1
    const startMs = index * intervalMs
    const endMs = isLast && durationMs > 0 ? durationMs : startMs + intervalMs
    const place = index % (columns * rows)
    const x = (place % columns) * tileWidth
    const y = Math.floor(place / columns) * tileHeight
    const url = urls[Math.floor(index / (columns * rows))] ?? ''
    return `${vttTime(startMs)} --> ${vttTime(endMs)}\n${url}#xywh=${x},${y},${tileWidth},${tileHeight}\n`
  })
  return ['WEBVTT\n', ...cues].join('\n')
}
