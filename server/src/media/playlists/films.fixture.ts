import type { FragmentIndex, TrackFragments } from '../mp4/fragment-index.ts'
import type { Presentation } from './presentation.ts'

/** Three segments of a picture, the last a short one. */
export const VIDEO: TrackFragments = {
  codec: 'avc1.64001f',
  timescale: 24_000,
  init: [1000, 700],
  durations: [48_048, 48_048, 12_012],
  offsets: [5000, 305_000, 605_000],
  lengths: [250_000, 260_000, 20_000],
  keyframeLengths: [40_000, 50_000, 10_000],
}

/** Sound that ends before the picture. */
export const AUDIO: TrackFragments = {
  codec: 'mp4a.40.2',
  timescale: 48_000,
  init: [1700, 600],
  durations: [96_256, 95_232, 0],
  offsets: [255_000, 565_000, 0],
  lengths: [32_000, 31_000, 0],
}

export const BOTH: FragmentIndex = {
  sizeBytes: 700_000,
  video: VIDEO,
  audio: AUDIO,
  initBoth: [2300, 1200],
}

export function aFilm(given: Partial<Presentation> = {}): Presentation {
  return {
    renditions: [
      aRendition('360p', 640, 360, 4),
      aRendition('720p', 1280, 720, 1),
      aRendition('1080p', 1920, 1080, 0.5),
    ],
    audio: [
      {
        position: 0,
        objectKey: 'videos/1/2-3-4/360p.mp4',
        language: 'eng',
        label: 'English',
        channels: 2,
        audio: AUDIO,
      },
    ],
    subtitles: [],
    ...given,
  }
}

/** `share` is how many times less there is in it than in `VIDEO`. */
function aRendition(
  quality: string,
  width: number,
  height: number,
  share: number,
): Presentation['renditions'][number] {
  const smaller = (bytes: number): number => Math.round(bytes / share)
  const video = {
    ...VIDEO,
    lengths: VIDEO.lengths.map(smaller),
    keyframeLengths: (VIDEO.keyframeLengths ?? []).map(smaller),
  }
  const objectKey = `videos/1/2-3-4/${quality}.mp4`
  return { quality, objectKey, width, height, frameRate: '24000/1001', video }
}

/** Two languages and subtitles, with names as people give them. */
export function aRichFilm(): Presentation {
  const [main] = aFilm().audio
  if (!main) throw new Error('the film has sound')
  return aFilm({
    audio: [
      main,
      {
        ...main,
        position: 1,
        objectKey: 'videos/1/2-3-4/audio-1.mp4',
        language: 'ger',
        label: 'Deutsch "5.1"\n',
        channels: 6,
      },
      {
        ...main,
        position: 2,
        objectKey: 'videos/1/2-3-4/audio-2.mp4',
        language: 'en',
        label: 'English',
      },
    ],
    subtitles: [
      {
        id: 7,
        objectKey: 'videos/1/2-3-4/s7.vtt',
        language: 'fra',
        label: 'Français <&>',
        isForced: false,
      },
      {
        id: 8,
        objectKey: 'videos/1/2-3-4/s8.vtt',
        language: 'fre',
        label: 'Français <&>',
        isForced: true,
      },
      {
        id: 9,
        objectKey: 'videos/1/2-3-4/s9.vtt',
        language: 'no language',
        label: '',
        isForced: false,
      },
    ],
  })
}
