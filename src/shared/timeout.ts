/** Resolves when `work` has, or after `ms` at the latest; what is left of it goes on. Rejects as `work` does. */
export async function within(ms: number, work: () => Promise<void>): Promise<void> {
  const { promise: expiry, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work(), expiry]).finally(() => clearTimeout(timer))
}
