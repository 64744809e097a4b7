import { MediaFailure } from '../../media/failure.ts'
import type { MediaTools } from '../../media/tools.ts'
import { findLegacyFile, type LegacyMedia } from './legacy-files.ts'
import type { LegacyVideo } from './legacy-rows.ts'
import { codecsOf, probeFilm, type ProbedFilm } from './probe-film.ts'

export interface LegacyRendition extends ProbedFilm {
  quality: string
  codecs: string
}

/** What there is of a video of the original. */
export interface Inspected {
  /** Null where the file is gone; `failure` where it is there and no film. */
  original: { path: string; film: ProbedFilm | null } | null
  /** Worst first. */
  renditions: LegacyRendition[]
  /** A picture that somebody chose, or that was made. */
  image: string | null
  failure: MediaFailure | null
  notices: string[]
}

export async function inspectVideo(
  needs: { media: LegacyMedia; tools: MediaTools; signal: AbortSignal },
  video: LegacyVideo,
): Promise<Inspected> {
  const { media, tools, signal } = needs
  const path = await findLegacyFile(media, video.video_file)
  const probed = path === null ? null : await probeFilm(tools, path, signal)
  const failure = probed instanceof MediaFailure ? probed : null
  const film = probed instanceof MediaFailure ? null : probed
  const notices: string[] = []
  if (path === null && video.video_file !== '') notices.push(`${video.video_file} is not there`)
  const renditions: LegacyRendition[] = []
  for (const [quality, told] of Object.entries(video.converted_files ?? {})) {
    const found = await inspectRendition(needs, quality, told)
    if (typeof found === 'string') notices.push(found)
    else renditions.push(found)
  }
  return {
    original: path === null ? null : { path, film },
    renditions: renditions.sort((one, other) => rank(one) - rank(other)),
    image: await findLegacyFile(media, video.image_file),
    failure,
    notices,
  }
}

function rank({ quality }: LegacyRendition): number {
  return Number.parseInt(quality, 10)
}

/** Or why it is not taken over. */
async function inspectRendition(
  { media, tools, signal }: { media: LegacyMedia; tools: MediaTools; signal: AbortSignal },
  quality: string,
  told: unknown,
): Promise<LegacyRendition | string> {
  if (!/^[1-9]\d{1,3}p$/.test(quality)) return `${quality} is no quality that we know`
  const path = await findLegacyFile(media, told)
  if (path === null) return `its ${quality} is not there`
  const film = await probeFilm(tools, path, signal)
  if (film instanceof MediaFailure) return `its ${quality} does not play: ${film.sentence}`
  const codecs = await codecsOf(film, signal)
  if (codecs === null) return `its ${quality} is not H.264 and AAC in MP4`
  return { ...film, quality, codecs }
}
