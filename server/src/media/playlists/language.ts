/**
 * The language tag (BCP 47, RFC 5646) for what a file or a person says: two letters where ISO 639-1 has some, as RFC 5646
 * §2.2.1 wants the shortest, so `ger` and `deu` are `de`. Null for what is no tag, and for `und`, which says nothing.
 */
export function languageTag(language: string | null): string | null {
  const spelled = language?.trim().replaceAll('_', '-') ?? ''
  try {
    // Unicode's aliases, which this applies, know both sets of ISO 639-2, bibliographic and terminological.
    const [tag = 'und'] = Intl.getCanonicalLocales(spelled)
    // No language has more than three letters in the registry, but RFC 5646 reserves up to eight: `English` parses.
    return tag === 'und' || /^[a-z]{4}/.test(tag) ? null : tag
  } catch {
    return null
  }
}
