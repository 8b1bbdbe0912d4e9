const OLDEST_MAJOR = 24

/**
 * Throws on a Node that is too old. Where the project's own Node was not installed (`npm ci --ignore-scripts`), npm
 * falls back to the machine's, and the SQLite driver would end the process without a word.
 */
export function requireNode(): void {
  const major = Number.parseInt(process.versions.node, 10)
  if (major < OLDEST_MAJOR)
    throw new Error(
      `Node ${OLDEST_MAJOR} or later is needed, this is ${process.versions.node}: run npm ci without --ignore-scripts`
    )
}
