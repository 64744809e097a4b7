/** Who is asking: a signed-in, active user in a live session. */
export interface Viewer {
  userId: number
  email: string
  isSuperuser: boolean
  sessionId: string
}

/** Why nobody is asking. */
export type Refusal =
  'missing' | 'expired' | 'invalid' | 'wrong_type' | 'user_inactive' | 'user_not_found'
