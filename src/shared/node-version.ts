const MIN_MAJOR = 24

/**
 * Throws if Node is too old. Without the project's own Node (`npm ci --ignore-scripts`), npm falls back to the
 * machine's, on which the SQLite driver would end the process without a message.
 */
export function requireNode(): void {
  const major = Number.parseInt(process.versions.node, 10)
  if (major < MIN_MAJOR)
    throw new Error(
      `Node ${MIN_MAJOR} or later is required, not ${process.versions.node}: run npm ci without --ignore-scripts`
    )
}
