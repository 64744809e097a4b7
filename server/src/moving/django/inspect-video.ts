import { open } from 'node:fs/promises'
import { AppError } from '../../errors.ts'
import { MediaFailure } from '../../media/failure.ts'
import type { MediaTools } from '../../media/tools.ts'
import type { LegacyFile, LegacyMedia } from './legacy-media.ts'
import type { LegacyVideo } from './legacy-rows.ts'
import { codecsOf, probeFilm, type ProbedFilm } from './probe-film.ts'

export interface LegacyRendition extends ProbedFilm {
  quality: string
  codecs: string
}

/** What there is of a video of the original, unopened. */
export interface LegacyFiles {
  original: LegacyFile | null
  /** By quality. */
  renditions: Map<string, LegacyFile>
  /** A picture that somebody chose, or that was made. */
  image: LegacyFile | null
  notices: string[]
}

/** The same, opened: paths that can be read. */
export interface Inspected {
  /** Null where the file is gone; `failure` where it is there and no film. */
  original: { path: string; name: string; film: ProbedFilm | null } | null
  /** Worst first. */
  renditions: LegacyRendition[]
  image: string | null
  failure: MediaFailure | null
  notices: string[]
}

export async function findFiles(media: LegacyMedia, video: LegacyVideo): Promise<LegacyFiles> {
  const notices: string[] = []
  const original = await media.find(video.video_file)
  if (original === null && video.video_file !== '') notices.push(`${video.video_file} is not there`)
  const renditions = new Map<string, LegacyFile>()
  const { converted_files: converted } = video
  if (converted === 'unreadable') notices.push('its converted_files are not a file by quality')
  for (const [quality, told] of converted === 'unreadable' ? [] : Object.entries(converted ?? {})) {
    const isKnown = /^[1-9]\d{1,3}p$/.test(quality)
    const file = isKnown ? await media.find(told) : null
    if (file) renditions.set(quality, file)
    else if (isKnown) notices.push(`its ${quality} is not there`)
    else notices.push(`${quality} is no quality that we know`)
  }
  const image = await findPicture(media, video, notices)
  return { original, renditions, image, notices }
}

/** A film is worth having without it. */
async function findPicture(
  media: LegacyMedia,
  { image_file: told }: LegacyVideo,
  notices: string[],
): Promise<LegacyFile | null> {
  try {
    const image = await media.find(told)
    if (image === null && told !== '') {
      notices.push(`its picture ${told} is not there: one is made of the film`)
    }
    return image
  } catch (error) {
    if (error instanceof AppError) throw error
    notices.push(tellUnreadable(told, error))
    return null
  }
}

function tellUnreadable(picture: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return `its picture ${picture} cannot be read (${code ?? message}): one is made of the film`
}

export interface InspectionNeeds {
  tools: MediaTools
  /** For copies of what is not on this machine. */
  workDir: string
  signal: AbortSignal
}

export async function inspectFiles(needs: InspectionNeeds, files: LegacyFiles): Promise<Inspected> {
  const { tools, workDir, signal } = needs
  const path = (await files.original?.fetch(workDir)) ?? null
  const probed = path === null ? null : await probeFilm(tools, path, signal)
  const failure = probed instanceof MediaFailure ? probed : null
  const film = probed instanceof MediaFailure ? null : probed
  const notices = [...files.notices]
  const renditions: LegacyRendition[] = []
  for (const [quality, file] of files.renditions) {
    const found = await inspectRendition(needs, quality, file)
    if (typeof found === 'string') notices.push(found)
    else renditions.push(found)
  }
  return {
    original: path === null ? null : { path, name: files.original?.name ?? '', film },
    renditions: renditions.sort((one, other) => rank(one) - rank(other)),
    image: files.image && (await openPicture(await files.image.fetch(workDir), notices)),
    failure,
    notices,
  }
}

/** Null where it cannot be read, which shows no sooner. */
async function openPicture(path: string, notices: string[]): Promise<string | null> {
  try {
    await using file = await open(path)
    await file.read(Buffer.alloc(1), 0, 1, 0)
    return path
  } catch (error) {
    notices.push(tellUnreadable(path, error))
    return null
  }
}

function rank({ quality }: LegacyRendition): number {
  return Number.parseInt(quality, 10)
}

/** Or why it is not taken over. */
async function inspectRendition(
  { tools, workDir, signal }: InspectionNeeds,
  quality: string,
  file: LegacyFile,
): Promise<LegacyRendition | string> {
  const film = await probeFilm(tools, await file.fetch(workDir), signal)
  if (film instanceof MediaFailure) return `its ${quality} does not play: ${film.sentence}`
  const codecs = await codecsOf(film, signal)
  if (codecs === null) return `its ${quality} is not H.264 and AAC in MP4`
  return { ...film, quality, codecs }
}
