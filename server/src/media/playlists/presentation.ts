import type { TrackFragments } from '../mp4/fragment-index.ts'

/** What playlists and manifests are made from. Object keys stay keys: who makes a playlist says what their URLs are. */
export interface Presentation {
  /** Worst first; at least one. */
  renditions: PresentedRendition[]
  /** The main one first; empty where the film is silent. */
  audio: PresentedAudio[]
  subtitles: PresentedSubtitles[]
}

export interface PresentedRendition {
  /** `720p` */
  quality: string
  objectKey: string
  width: number
  height: number
  /** `24000/1001` */
  frameRate: string
  video: TrackFragments
}

export interface PresentedAudio {
  /** 0 for the main one. */
  position: number
  /** Of the file that has it: a rendition for the main one, else a file of its own. */
  objectKey: string
  /** As files and people give it; `languageTag` makes it a tag. */
  language: string | null
  label: string
  channels: number
  audio: TrackFragments
}

/** A whole WebVTT file. */
export interface PresentedSubtitles {
  id: number
  objectKey: string
  language: string | null
  label: string
  isForced: boolean
}
