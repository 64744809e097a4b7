import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { AdminVideo, Playback } from '@videoflix/contract'
import type { GoodFilm } from '../films.ts'
import type { Sent } from './sender.ts'
import type { Site } from './site.ts'
import { listStored, listUnfinished } from './stored.ts'
import type { Visitor } from './visitor.ts'

const exec = promisify(execFile)

/** What the films of these suites are, as anybody can measure it. */
export const FACTS = {
  'h264 mp4': { durationMs: 2000 },
  'mpeg4 mp4': { durationMs: 2000 },
  'keyframes every 2.4 s': { durationMs: 12_000 },
} satisfies Partial<Record<GoodFilm, { durationMs: number }>>

/**
 * Looks at a site from outside once all is quiet: over HTTP as clients do, and at what lies in its folders and its
 * bucket, whatever that is called there. Gives a sentence about everything that is not as it was acknowledged. Films are
 * played to their end, unless `isPlayed` says otherwise.
 */
export async function auditSite(
  site: Site,
  visitor: Visitor,
  sent: Sent[],
  isPlayed: (film: Sent) => boolean = () => true,
): Promise<string[]> {
  const lists = await Promise.all(site.servers.map((server) => visitor.videos(server)))
  const [videos = []] = lists
  const findings = lists.some((list) => titlesOf(list) !== titlesOf(videos))
    ? ['the servers do not have the same videos']
    : []
  findings.push(...(await auditVideos(visitor, videos, sent, isPlayed)))
  return [...findings, ...(await auditOriginals(site, sent)), ...visitor.complaints]
}

const titlesOf = (videos: AdminVideo[]): string => videos.map(({ title }) => title).join('\n')

async function auditVideos(
  visitor: Visitor,
  videos: AdminVideo[],
  sent: Sent[],
  isPlayed: (film: Sent) => boolean,
): Promise<string[]> {
  const findings: string[] = []
  const left = [...videos]
  const auditSome = async (): Promise<void> => {
    for (let video = left.pop(); video; video = left.pop()) {
      findings.push(...(await auditVideo(visitor, video, sent, isPlayed)))
    }
  }
  await Promise.all([auditSome(), auditSome()])
  const ids = new Set(videos.map(({ id }) => id))
  const lost = sent.filter(({ videoId }) => !ids.has(videoId))
  return [...findings, ...lost.map(({ title }) => `${title} was acknowledged and is gone`)]
}

async function auditVideo(
  visitor: Visitor,
  video: AdminVideo,
  sent: Sent[],
  isPlayed: (film: Sent) => boolean,
): Promise<string[]> {
  const film = sent.find(({ videoId }) => videoId === video.id)
  if (!film) return [`"${video.title}" is a video that nobody was told of`]
  if (film.title !== video.title) return [`${film.title} is called ${video.title}`]
  if (video.processing_state === 'ready') {
    return isPlayed(film) ? await auditReady(visitor, video, film) : []
  }
  return await auditFailed(visitor, video)
}

/** Everything that it lists is there, whole, and plays to its end. */
async function auditReady(visitor: Visitor, video: AdminVideo, film: Sent): Promise<string[]> {
  const { id, title, converted_files: files } = video
  const { durationMs } = FACTS[film.film as keyof typeof FACTS]
  const playback = await visitor.json<Playback>(`/content/${id}/playback/`)
  const pages = [playback.hls_url, playback.dash_url, playback.storyboard_url, video.image_file]
  const isWhole = Object.keys(files).length === video.renditions.length && video.video_file !== null
  const findings = isWhole ? [] : [`${title} does not list all of its files`]
  for (const url of [...pages, ...Object.values(files)]) {
    findings.push(...(await unfetchable(title, url)))
  }
  for (const url of [...Object.values(files), playback.hls_url]) {
    findings.push(...(await undecodable(title, url, durationMs)))
  }
  if (playback.duration_ms !== video.duration_ms) findings.push(`${title} has two durations`)
  return findings
}

async function unfetchable(title: string, url: string | null): Promise<string[]> {
  if (url === null) return [`${title} lacks a poster or a storyboard`]
  const reply = await fetch(url)
  const { byteLength } = await reply.arrayBuffer()
  return reply.status === 200 && byteLength > 0
    ? []
    : [`${title}: ${reply.status}, ${byteLength} bytes from ${url}`]
}

/** Every picture and every sound is decoded; the last one begins where it should. */
async function undecodable(title: string, url: string, durationMs: number): Promise<string[]> {
  const args = ['-v', 'error', '-xerror', '-i', url, '-f', 'null', '-progress', 'pipe:1', '-']
  const { stdout, stderr } = await exec('ffmpeg', args).catch(
    (error: { stdout: string; stderr: string }) => error,
  )
  if (stderr !== '') return [`${title}: ${stderr} in ${url}`]
  const playedMs = Number([...stdout.matchAll(/out_time_us=(\d+)/g)].at(-1)?.[1]) / 1000
  return Math.abs(playedMs - durationMs) < 300 ? [] : [`${title}: ${playedMs} ms in ${url}`]
}

/** A sentence, and nothing to fetch. */
async function auditFailed(visitor: Visitor, video: AdminVideo): Promise<string[]> {
  const { id, title, processing_state: state, processing_error: why } = video
  if (state !== 'error') return [`${title} is ${state}, and nobody works on it`]
  const findings = /\w+ \w+.*\.$/.test(why ?? '') ? [] : [`${title} failed without a sentence`]
  const listed = [...Object.values(video.converted_files), video.video_file, video.image_file]
  if (listed.some((url) => url !== null)) findings.push(`${title} failed, and lists files`)
  const { status } = await visitor.ask(`/content/${id}/playback/`)
  return status === 404 ? findings : [...findings, `${title} failed, and plays: ${status}`]
}

/** What was sent is there once, byte for byte, wherever it is; and once more for each time that it was refused. */
async function auditOriginals(site: Site, sent: Sent[]): Promise<string[]> {
  const sizes = new Set(sent.map(({ sizeBytes }) => sizeBytes))
  const candidates = (await listStored(site)).filter(({ sizeBytes }) => sizes.has(sizeBytes))
  const sums = await Promise.all(candidates.map((stored) => stored.sha256()))
  return sent.flatMap(({ title, sha256, refusals = 0 }) => {
    const places = candidates.filter((_stored, index) => sums[index] === sha256)
    const isRight = places.length >= 1 && places.length <= 1 + refusals
    const names = places.map(({ name }) => name).join(', ')
    return isRight
      ? []
      : [`the uploaded file of ${title} is there ${places.length} times: ${names}`]
  })
}

/** What is there although there is no video: nothing else is, but for what was there `before` the first one. */
export async function listOrphans(site: Site, before: Set<string>): Promise<string[]> {
  const stored = (await listStored(site)).map(({ name }) => name)
  const unfinished = (await listUnfinished(site)).map((name) => `unfinished: ${name}`)
  return [...stored, ...unfinished].filter((name) => !before.has(name))
}

/** All that it lists of its files. */
export function urlsOf({ converted_files: files, image_file: image }: AdminVideo): string[] {
  return [...Object.values(files), image ?? '']
}

/** Those that are answered. */
export async function fetchable(urls: string[]): Promise<string[]> {
  const statuses = await Promise.all(
    urls.map(async (url) => {
      const reply = await fetch(url)
      await reply.body?.cancel()
      return reply.ok
    }),
  )
  return urls.filter((_url, index) => statuses[index])
}
