import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { AccountLinks } from './account-links.ts'

const part = z.unknown().optional().meta({ type: 'string' })

/** What the URL of a link brings. Those copied from the source of a mail have `&amp;` between their parts. */
export const linkQuery = z.object({ uid: part, token: part, 'amp;token': part, 'amp;uid': part })

/** Throws `invalid` with the sentence that clients know. */
export function readLink(
  query: z.infer<typeof linkQuery>,
  links: AccountLinks,
): { userId: number; token: string } {
  const uid = query.uid ?? query['amp;uid']
  const token = query.token ?? query['amp;token']
  if (typeof uid !== 'string' || typeof token !== 'string' || uid === '' || token === '') {
    throw new AppError('invalid', 'Missing uid or token.')
  }
  const userId = links.userIdOf(uid)
  if (userId === null) throw new AppError('invalid', 'Invalid user ID.')
  return { userId, token }
}
