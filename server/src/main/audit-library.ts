import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createLibraryAudit, type LibraryAudit } from '../library-audit/audit-library.ts'
import { filmDecoder } from '../library-audit/decode-film.ts'
import type { Finding } from '../library-audit/finding.ts'
import type { Repair } from '../library-audit/repair.ts'
import { scratchName } from '../processing/scratch.ts'
import { launch, migrateOrExplain, type Launch } from './lifecycle.ts'
import { counted, progressLine, type ProgressLine } from './progress-line.ts'

export interface AuditOptions {
  fix?: boolean
  json?: boolean
  quick?: boolean
  evenIfMostIsMissing?: boolean
}

/** What was found, and what was done about it. */
interface Tally {
  sources: number
  damaged: number
  orphans: number
  foreign: number
  /** Damaged videos and orphans that are seen to. */
  fixed: number
}

/** `videoflix audit-library`: exit code 0 if nothing is wrong, or nothing any more. */
export async function auditLibrary(options: AuditOptions): Promise<void> {
  const launched = await launch()
  const { app, settings } = launched
  const workDir = join(settings.tasks.workDir, scratchName('audit'))
  const line = progressLine()
  const tally: Tally = { sources: 0, damaged: 0, orphans: 0, foreign: 0, fixed: 0 }
  try {
    await migrateOrExplain(settings)
    const audit = openAudit(launched, options, workDir, (checked) => {
      tally.sources = checked
      line.show(`${counted(checked, 'video')} checked`)
    })
    if (options.fix) await audit.assertRepairable(options.evenIfMostIsMissing ?? false)
    const report = options.json ? asJsonLines(line) : asLines(line)
    await auditSources(audit, options, tally, report)
    await auditStores(audit, options, tally, report)
    report.end(tally)
    if (tally.fixed < tally.damaged + tally.orphans) process.exitCode = 1
  } finally {
    line.end()
    await rm(workDir, { recursive: true, force: true })
    await app.close()
  }
}

function openAudit(
  { app, settings }: Launch,
  { quick }: AuditOptions,
  workDir: string,
  onSource: (checked: number) => void,
): LibraryAudit {
  const { signal } = new AbortController()
  return createLibraryAudit({
    ...app,
    multiparts: app.bucket?.uploads ?? null,
    uploads: settings.uploads,
    decode: quick ? null : filmDecoder({ tools: settings.ffmpeg, workDir, signal }),
    onSource,
  })
}

async function auditSources(
  audit: LibraryAudit,
  { fix }: AuditOptions,
  tally: Tally,
  report: Report,
): Promise<void> {
  for await (const { source, findings } of audit.damaged()) {
    tally.damaged += 1
    for (const finding of findings) report.finding(finding)
    if (!fix) continue
    const repair = await audit.repair(source, findings)
    if (repair.outcome !== 'left') tally.fixed += 1
    report.repair(repair)
  }
}

async function auditStores(
  audit: LibraryAudit,
  { fix }: AuditOptions,
  tally: Tally,
  report: Report,
): Promise<void> {
  for await (const finding of audit.orphans()) {
    report.finding(finding)
    if (finding.problem === 'foreign') {
      tally.foreign += 1
      continue
    }
    tally.orphans += 1
    if (!fix) continue
    await audit.remove(finding)
    tally.fixed += 1
  }
}

interface Report {
  finding(finding: Finding): void
  repair(repair: Repair): void
  end(tally: Tally): void
}

function asJsonLines(line: ProgressLine): Report {
  const write = (value: unknown): void => {
    line.end()
    process.stdout.write(`${JSON.stringify(value)}\n`)
  }
  return {
    finding: (finding) => write({ finding }),
    repair: (repair) => write({ repair }),
    end: (summary) => write({ summary }),
  }
}

function asLines(line: ProgressLine): Report {
  const write = (text: string): void => {
    line.end()
    process.stdout.write(`${text}\n`)
  }
  return {
    finding: ({ problem, store, key, videoId, detail }) =>
      write(
        `${problem.replace('_', ' ').padEnd(11)} ${store}/${key}: ${detail}${videoId === null ? '' : ` (video ${videoId})`}`,
      ),
    repair: ({ videoId, sentence }) => write(`${' '.repeat(11)} video ${videoId}: ${sentence}`),
    end({ sources, damaged, orphans, foreign, fixed }) {
      write(
        `${counted(sources, 'video')} checked: ${damaged} damaged. ${counted(orphans, 'file')} without a row, ${foreign} of others.`,
      )
      if (fixed > 0) write(`${fixed} of these ${fixed === 1 ? 'is' : 'are'} seen to.`)
      else if (damaged + orphans > 0) write('Run it again with --fix to see to them.')
    },
  }
}
