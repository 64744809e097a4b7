import { z } from 'zod'

/** The four shapes of an error body; which one a route uses is part of its contract. */
export const detailError = z.object({ detail: z.string() }).meta({ id: 'DetailError' })
export const namedError = z.object({ error: z.string() }).meta({ id: 'NamedError' })
export const messageError = z.object({ message: z.string() }).meta({ id: 'MessageError' })
export const fieldErrors = z.record(z.string(), z.array(z.string())).meta({ id: 'FieldErrors' })
