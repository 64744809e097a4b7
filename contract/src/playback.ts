import { z } from 'zod'

/** All that a player needs to know of a video (`GET /content/<id>/playback/`). */
export const playback = z
  .object({
    hls_url: z.string().describe('Signed URL of the HLS master playlist'),
    dash_url: z.string().describe('Signed URL of the DASH manifest'),
    duration_ms: z.int(),
    chapters: z.array(
      z.object({
        start_ms: z.int(),
        end_ms: z.int().describe('Not included'),
        title: z.string(),
      }),
    ),
    audio: z
      .array(
        z.object({
          language: z.string().nullable().describe('BCP 47, such as `de`; null if unknown'),
          label: z.string(),
          channels: z.int(),
          is_default: z.boolean(),
        }),
      )
      .describe('The main one first; empty for a silent film'),
    subtitles: z.array(
      z.object({
        id: z.int(),
        language: z.string().nullable().describe('As above'),
        label: z.string(),
        is_forced: z.boolean().describe('Only what is needed with the sound in its own language'),
        url: z.string().describe('Signed URL of a WebVTT file'),
      }),
    ),
    storyboard_url: z
      .string()
      .nullable()
      .describe('Signed URL of WebVTT that names small pictures for seeking; null without any'),
  })
  .meta({ id: 'Playback' })
export type Playback = z.infer<typeof playback>
