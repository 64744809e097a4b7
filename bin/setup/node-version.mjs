// Imported first, so that an old Node answers with one line rather than with a stack trace.
const OLDEST = 20

if (Number(process.versions.node.split('.')[0]) < OLDEST) {
  console.error(
    `Videoflix needs Node ${OLDEST} or newer to set itself up; this is Node ${process.versions.node}.`,
  )
  process.exit(1)
}
