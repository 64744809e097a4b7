import type { LibraryAudit } from './audit-library.ts'
import type { Finding } from './finding.ts'

/** A store whose files stay, as the rows see it. */
export interface Survey {
  store: 'media' | 'originals'
  /** Old enough, and named by a row. */
  wanted: number
  /** Old enough, and named by none. */
  orphans: number
  /** The first of these: what one sweep removes. */
  found: Finding[]
}

/** So that a sweep needs a few megabytes, however much there is. The rest is for the next day. */
const MOST_REMOVED = 10_000
/** A crash leaves some files, a store that was away for an hour some more. */
const FEW = 20
const SMALL_PART = 0.05
/** Of a library of one or two films. */
const FEWEST = 3

/** Intermediates are not asked: that none of them is wanted is what they are like when all work is done. */
export async function surveyStores(
  audit: Pick<LibraryAudit, 'orphans'>,
  choice: { now: Date; leastAgeMs: number; signal: AbortSignal },
): Promise<Survey[]> {
  const surveys: Survey[] = []
  for (const store of ['media', 'originals'] as const) {
    const survey: Survey = { store, wanted: 0, orphans: 0, found: [] }
    const onWanted = (count: number): void => void (survey.wanted += count)
    for await (const finding of audit.orphans({ ...choice, within: [store], onWanted })) {
      if (finding.problem !== 'orphan') continue
      survey.orphans += 1
      if (survey.found.length < MOST_REMOVED) survey.found.push(finding)
    }
    surveys.push(survey)
  }
  return surveys
}

/**
 * Whether it is rather the rows that are missing: another database, an empty one, or one of last month. Either much of
 * one store has no row, or most of all there is.
 */
export function isDatabaseInDoubt(surveys: Pick<Survey, 'wanted' | 'orphans'>[]): boolean {
  const isMuch = surveys.some(
    ({ wanted, orphans }) => orphans > FEW && orphans > SMALL_PART * (wanted + orphans),
  )
  const orphans = surveys.reduce((sum, survey) => sum + survey.orphans, 0)
  const wanted = surveys.reduce((sum, survey) => sum + survey.wanted, 0)
  return isMuch || (orphans >= FEWEST && orphans > wanted)
}
