#!/usr/bin/env node
// Prints docs/settings.md: `node bin/settings-table.ts > docs/settings.md`.
import { format, resolveConfig } from 'prettier'
import { ENV_GROUPS } from '../server/src/config/env.ts'

const INTRODUCTION = `# Settings

Videoflix reads its settings from environment variables, or from a file \`.env\` in the folder it is
started in. It runs with none of them: on this machine, for you to look at. To let others in, set
\`SECRET_KEY\` and \`BACKEND_ORIGIN\`, then the origin of your web client in \`CORS_ALLOWED_ORIGINS\` and
a mail server in \`EMAIL_HOST\`. A value that cannot be understood, half a configuration or an unsafe
one keeps the server from starting, with one sentence that says what to change;
\`videoflix doctor\` checks the rest.

Booleans are \`True\` or \`False\` (any case, also \`1\` and \`0\`), times are in seconds, sizes in bytes.
An empty value counts as not set.
`

const sections = Object.entries(ENV_GROUPS).map(([title, variables]) => {
  const rows = Object.entries(variables).map(
    ([name, { description = '' }]) => `| \`${name}\` | ${description.replaceAll('|', '\\|')} |`,
  )
  return [`## ${title}`, '', '| name | meaning |', '| --- | --- |', ...rows].join('\n')
})

const style = await resolveConfig(import.meta.filename)
const page = `${INTRODUCTION}\n${sections.join('\n\n')}\n`
process.stdout.write(await format(page, { ...style, parser: 'markdown' }))
