import { z } from 'zod'
import { MESSAGES, text } from './fields.ts'

/** Uploads from the browser straight to the bucket, in parts (`/admin/api/direct-uploads/`); only with S3. */

const positive = (error: string) =>
  z
    .int({ error: ({ input }) => (input === undefined ? MESSAGES.required : error) })
    .positive({ error })

export const newDirectUpload = z.object({
  file_name: text(1000).describe('For people; it never becomes a path'),
  size: positive('Write the size of the file in bytes.').describe('In bytes'),
})
export type NewDirectUpload = z.infer<typeof newDirectUpload>

/** What a part may be asked for at once. */
export const PART_NUMBERS_MAX = 1000

export const partNumbers = z.object({
  numbers: z
    .array(positive('Part numbers begin with 1.'), {
      error: ({ input }) => (input === undefined ? MESSAGES.required : 'Write a list of numbers.'),
    })
    .min(1, { error: 'Ask for at least one part.' })
    .max(PART_NUMBERS_MAX, { error: `Ask for at most ${PART_NUMBERS_MAX} parts at once.` }),
})

export const partUrls = z.object({
  parts: z.array(
    z.object({
      number: z.int(),
      url: z.string().describe('For one PUT with the bytes of the part and no other header'),
    }),
  ),
})

/** Fields that are given as in a form; checked when they are read. */
export const directUploadEnd = z.object({
  title: z
    .string({ error: MESSAGES.string })
    .optional()
    .describe('Unique; the file’s name if absent'),
  description: z.string({ error: MESSAGES.string }).optional(),
  category: z.string({ error: MESSAGES.string }).optional(),
  video: positive('There is no such video to replace.')
    .optional()
    .describe('Id of a video whose file this replaces; then the other fields mean nothing'),
})
export type DirectUploadEnd = z.infer<typeof directUploadEnd>

export const directUpload = z
  .object({
    id: z.string(),
    file_name: z.string(),
    size: z.int(),
    part_size: z.int().describe('Bytes of every part but the last'),
    part_count: z.int(),
    parts: z
      .array(z.object({ number: z.int(), size: z.int() }))
      .describe('Those that have arrived whole'),
    expires_at: z.iso.datetime().describe('When it is given up, unless more parts are asked for'),
    video: z.int().nullable().describe('Id of the video that it became; null until it is complete'),
  })
  .meta({ id: 'DirectUpload' })
export type DirectUpload = z.infer<typeof directUpload>
