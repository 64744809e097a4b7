/** What the operator is told, a line each. */
export interface ImportReport {
  /** Something is not as it was, and the operator may want to know. */
  notice(text: string): void
  /** Something was not taken over. */
  leftOut(text: string): void
  progress(text: string): void
}

/** Titles and names of files are anybody's words: a line break in one of them would begin a line that looks like ours. */
export function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
