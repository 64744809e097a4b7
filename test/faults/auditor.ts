import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import type { AdminVideo } from '@videoflix/contract'

const exec = promisify(execFile)

/**
 * Looks at a server from outside: what it says over HTTP, what lies in its folders, and whether that plays. Each finding
 * is a sentence; none is good.
 */
export async function audit(facts: {
  dataDir: string
  videos: AdminVideo[]
  /** By upload id. */
  sha256: Map<string, string>
  /** Files of uploads that nobody knows of, and that expire. */
  lostCreations: number
}): Promise<string[]> {
  const { dataDir, videos, sha256, lostCreations } = facts
  const findings: string[] = []
  const kept = new Set(
    videos.flatMap(({ id, converted_files: files, image_file: image }) =>
      [...Object.values(files), image].flatMap((url) => (url === null ? [] : mediaPath(url, id))),
    ),
  )
  for (const path of await filesBelow(join(dataDir, 'media'))) {
    if (!kept.delete(path)) findings.push(`media/${path} belongs to nothing`)
  }
  for (const path of kept) findings.push(`media/${path} is listed and missing`)

  const originals = await filesBelow(join(dataDir, 'originals'))
  for (const name of originals) {
    const expected = sha256.get(name)
    const bytes = await readFile(join(dataDir, 'originals', name))
    const actual = createHash('sha256').update(bytes).digest('hex')
    if (expected === undefined) findings.push(`originals/${name} belongs to nothing`)
    else if (actual !== expected) findings.push(`originals/${name} is not what was sent`)
  }
  for (const name of sha256.keys()) {
    if (!originals.includes(name)) findings.push(`the original of ${name} is missing`)
  }

  const uploads = await filesBelow(join(dataDir, 'uploads'))
  const unknown = new Set<string>()
  for (const name of uploads) {
    const id = name.replace(/\.json$/, '')
    if (sha256.has(id)) findings.push(`uploads/${name} is left`)
    else unknown.add(id)
  }
  if (unknown.size > lostCreations) findings.push(`${unknown.size} uploads are left`)
  for (const name of await readdir(join(dataDir, 'work')).catch(() => [])) {
    findings.push(`work/${name} is left`)
  }
  return findings
}

function mediaPath(url: string, videoId: number): string {
  const path = new URL(url).pathname.replace(/^\/media\//, '')
  if (!path.startsWith(`videos/${videoId}/`)) throw new Error(`${url} is not of video ${videoId}`)
  return path
}

/** Whether each rendition of a video, as it is served, decodes to its end; and lasts as long as the film. */
export async function undecodable(video: AdminVideo, durationMs: number): Promise<string[]> {
  const findings: string[] = []
  for (const [quality, url] of Object.entries(video.converted_files)) {
    const args = ['-v', 'error', '-xerror', '-i', url, '-f', 'null', '-']
    const { stderr } = await exec('ffmpeg', args).catch((error: { stderr: string }) => error)
    if (stderr !== '') findings.push(`${video.title} ${quality}: ${stderr}`)
    const entries = ['-show_entries', 'format=duration', '-of', 'csv=p=0']
    const { stdout } = await exec('ffprobe', ['-v', 'error', ...entries, url])
    const lasts = Number(stdout) * 1000
    if (Math.abs(lasts - durationMs) > 300) findings.push(`${video.title} ${quality}: ${lasts} ms`)
  }
  return findings
}

async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

/** Programs that still work on something in the folder, by command line or by folder; zombies do not. */
export function programsIn(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')) return []
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        const isInside =
          command.includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
        return isInside ? [`${pid}: ${command}`] : []
      } catch {
        return []
      }
    })
}
