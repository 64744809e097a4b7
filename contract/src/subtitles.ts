import { z } from 'zod'
import { flag, text } from './fields.ts'

/** Subtitles of a video, as superusers see them (`/admin/api/videos/<id>/subtitles/`). */
export const subtitles = z
  .object({
    id: z.int(),
    language: z.string().nullable().describe('BCP 47; null where a source does not say'),
    label: z.string().describe('For people: `Deutsch`'),
    is_forced: z.boolean().describe('Only what is said in another language than the film’s'),
    is_embedded: z.boolean().describe('Found in the source: goes when that is replaced'),
    created_at: z.string(),
  })
  .meta({ id: 'Subtitles' })
export type Subtitles = z.infer<typeof subtitles>

const LANGUAGE = /^[a-z]{2,3}(?:-[a-z\d]{2,8}){0,4}$/i
const NO_LANGUAGE = 'Write the language as a code, such as "en", "pt-BR" or "deu".'

/** BCP 47 or ISO 639-2, in one spelling: `GER` becomes `de`. */
function language() {
  return text(35).transform((value, context) => {
    try {
      const [canonical] = LANGUAGE.test(value) ? Intl.getCanonicalLocales(value) : []
      if (canonical !== undefined) return canonical
    } catch {
      // A tag that looks like one, but has a subtag twice or the like.
    }
    context.addIssue({ code: 'custom', message: NO_LANGUAGE })
    return z.NEVER
  })
}

/** What is said about subtitles that are uploaded. */
export const subtitlesFields = z.object({
  language: language(),
  label: text(100).optional().describe('The name of the language if absent'),
  is_forced: flag().default(false),
})
export type SubtitlesFields = z.infer<typeof subtitlesFields>

export const subtitlesChanges = z.object({
  language: language().optional(),
  label: text(100).optional(),
  is_forced: flag().optional(),
})
export type SubtitlesChanges = z.infer<typeof subtitlesChanges>
