/** One message to one person. The text part is never empty. */
export interface Mail {
  to: string
  subject: string
  html: string
  text: string
}

export interface Mailer {
  /**
   * Resolves when the message has been handed over for good. Repeating sends it twice.
   * Throws `unavailable` when trying later may help, `invalid` when the address is refused for good.
   */
  send(mail: Mail): Promise<void>
  /** Throws `unavailable` or `misconfigured` when sending would fail now; sends nothing. */
  check(): Promise<void>
}
