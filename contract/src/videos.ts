import { z } from 'zod'
import { MESSAGES, optionalText, text } from './fields.ts'

export const CATEGORIES = [
  'Action',
  'Adventure',
  'Comedy',
  'Crime',
  'Drama',
  'Fantasy',
  'Historical',
  'Horror',
  'Mystery',
  'Philosophical',
  'Political',
  'Romance',
  'Science fiction',
  'Thriller',
  'Western',
  'Animation',
  'Documentary',
  'Biographical',
  'Educational',
  'Erotic',
  'Musical',
  'Reality',
  'Sports',
  'Superhero',
  'Surreal',
  'Other',
] as const

export type Category = (typeof CATEGORIES)[number]

/** What a client may ask for, worst first. */
export const QUALITIES = ['120p', '360p', '720p', '1080p'] as const
export type Quality = (typeof QUALITIES)[number]

export const PROCESSING_STATES = ['pending', 'processing', 'ready', 'error'] as const
export type ProcessingState = (typeof PROCESSING_STATES)[number]

export const category = z.enum(CATEGORIES, {
  error: (issue) => {
    if (issue.input === undefined) return MESSAGES.required
    if (issue.input === null) return MESSAGES.null
    return MESSAGES.choice(
      typeof issue.input === 'string' ? issue.input : JSON.stringify(issue.input),
    )
  },
})

/** A video as viewers get it (`GET /content/`). */
export const video = z
  .object({
    id: z.int(),
    title: z.string(),
    description: z.string(),
    category: z.string(),
    created_at: z.string().describe('ISO 8601 in UTC, with microseconds'),
    image_file: z.string().nullable().describe('Signed URL of the poster; null until there is one'),
    image_url: z.string().nullable().describe('The same as `image_file`'),
    thumb_hash: z
      .string()
      .nullable()
      .describe('ThumbHash of the poster in base64, to show until that has been loaded'),
    video_file: z
      .string()
      .nullable()
      .describe('Signed URL of the best rendition; the original is never served'),
    converted_files: z
      .record(z.string(), z.string())
      .describe('Signed URL by quality, of what exists'),
    processing_state: z.enum(PROCESSING_STATES),
    processing_error: z.string().nullable().describe('Null unless the state is `error`'),
  })
  .meta({ id: 'Video' })
export type Video = z.infer<typeof video>

export const TITLE_MAX = 255
export const DESCRIPTION_MAX = 10_000

export const videoFields = z.object({
  title: text(TITLE_MAX),
  description: optionalText(DESCRIPTION_MAX).default(''),
  category: category.default('Other'),
})
export type VideoFields = z.infer<typeof videoFields>

export const videoChanges = z.object({
  title: text(TITLE_MAX).optional(),
  description: optionalText(DESCRIPTION_MAX).optional(),
  category: category.optional(),
})
export type VideoChanges = z.infer<typeof videoChanges>

export const processingProgress = z
  .object({
    step: z.string().describe('The step that is being done, or `queued`'),
    percent: z.number().min(0).max(100),
    speed: z.number().nullable().describe('Seconds of film per second'),
    eta_seconds: z.number().nullable(),
    attempt: z.int().describe('1 on the first try'),
  })
  .meta({ id: 'ProcessingProgress' })
export type ProcessingProgress = z.infer<typeof processingProgress>

export const rendition = z
  .object({
    quality: z.string(),
    width: z.int(),
    height: z.int(),
    size_bytes: z.int(),
    bitrate_bps: z.int(),
    codecs: z.string(),
  })
  .meta({ id: 'Rendition' })

export const STEP_STATES = ['waiting', 'running', 'done', 'failed'] as const

/** One step of processing, in the order in which they were planned. */
export const processingStep = z
  .object({
    name: z.string().describe('Such as `probe`, `copy`, `encode 3/12` or `package 720p`'),
    state: z.enum(STEP_STATES),
    percent: z.number().min(0).max(100),
    speed: z.number().nullable().describe('Seconds of film per second'),
    eta_seconds: z.number().nullable(),
    attempts: z.int().describe('Times it was begun'),
    command: z
      .string()
      .nullable()
      .describe(
        'The last command that was run for it; in lists and events, only while it runs or after it failed',
      ),
    output: z.string().nullable().describe('The last lines that the command wrote; as `command`'),
    error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .describe('Why the last attempt failed'),
    started_at: z.string().nullable(),
    finished_at: z.string().nullable(),
  })
  .meta({ id: 'ProcessingStep' })
export type ProcessingStep = z.infer<typeof processingStep>

/** What a superuser sees of one uploaded file. */
export const source = z
  .object({
    file_name: z.string(),
    size_bytes: z.int(),
    sha256: z.string().nullable(),
    uploaded_at: z.string(),
    state: z.enum(PROCESSING_STATES),
    error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .describe('Why it could not be processed, and what to do next'),
    progress: processingProgress.nullable().describe('Null unless it is being processed'),
    steps: z.array(processingStep),
    is_kept: z
      .boolean()
      .describe('Whether the uploaded file is still there, to be processed again'),
  })
  .meta({ id: 'Source' })
export type Source = z.infer<typeof source>

/** A video as a superuser gets it (`/admin/api/videos/`). */
export const adminVideo = video
  .extend({
    updated_at: z.string(),
    duration_ms: z.int().nullable(),
    width: z.int().nullable(),
    height: z.int().nullable(),
    renditions: z.array(rendition),
    source: source
      .nullable()
      .describe('The newest source: what plays, or what will when it is ready'),
    is_replacing: z
      .boolean()
      .describe('An older source plays while, or because, the newest is not ready'),
  })
  .meta({ id: 'AdminVideo' })
export type AdminVideo = z.infer<typeof adminVideo>
