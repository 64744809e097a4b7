/** The URLs that mails lead to. They are made from settings alone, whatever host a request named. */
export interface AccountLinks {
  /** Django's base 36. */
  uidOf(userId: number): string
  /** Null when the text is no id. */
  userIdOf(uid: string): number | null
  confirm(userId: number, token: string): string
  reset(userId: number, token: string): string
  changeEmail(userId: number, token: string): string
}

export function createAccountLinks(settings: {
  backendOrigin: string
  resetPasswordUrl: string
}): AccountLinks {
  const uidOf = (userId: number): string => userId.toString(36)
  const withLink = (url: string, userId: number, token: string): string => {
    const query = new URLSearchParams({ uid: uidOf(userId), token })
    return `${url}${url.includes('?') ? '&' : '?'}${query.toString()}`
  }
  return {
    uidOf,
    userIdOf: (uid) => (/^[0-9a-z]{1,10}$/i.test(uid) ? Number.parseInt(uid, 36) : null),
    confirm: (userId, token) => withLink(`${settings.backendOrigin}/users/confirm/`, userId, token),
    reset: (userId, token) => withLink(settings.resetPasswordUrl, userId, token),
    changeEmail: (userId, token) =>
      withLink(`${settings.backendOrigin}/users/confirm-email/`, userId, token),
  }
}
