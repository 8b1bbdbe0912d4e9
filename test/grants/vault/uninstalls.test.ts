import t from 'tap'
import { onEachDatabase } from '../../support/databases.ts'
import { install, issuedGrant, lease, mintOptions, ONE, tokens } from '../issued-grants.ts'

const AT = 10_000
const issuedAt = (at: number) => ({ tokens: { ...tokens('renewed'), issuedAt: at } })
const ended = (reason: string) => ({
  state: 'reconnect-required' as const,
  stateSince: AT,
  stateReason: reason,
  failures: 1,
  dueAt: null,
  triedAt: AT,
  intentAt: null
})

onEachDatabase(t, 'a reported uninstall makes the grant due, and changes nothing else', async (t, { open }) => {
  const vault = await open()
  await vault.installGrant(issuedGrant('a', { dueAt: AT + 500 }), install(1))

  await vault.reportUninstall(ONE, AT, AT)
  const reported = await vault.loadGrant(ONE)
  await vault.reportUninstall(ONE, AT + 5, AT - 5)

  t.match(reported, { generation: 1, state: 'connected', dueAt: AT, uninstallReportedAt: AT, tokens: tokens('a') })
  t.match(
    await vault.loadGrant(ONE),
    { dueAt: AT, uninstallReportedAt: AT + 5 },
    'a second report does not move the due time'
  )
  t.match(await vault.claimDue(lease('me', AT)), { subject: ONE, uninstallReportedAt: AT + 5 })
})

onEachDatabase(t, 'tokens disprove an uninstall that was reported before they were requested', async (t, { open }) => {
  const vault = await open()
  await vault.installGrant(issuedGrant('a'), install(1))
  await vault.reportUninstall(ONE, AT, AT)

  await vault.saveIssued(issuedGrant('b', { ...issuedAt(AT - 1), dueAt: AT * 9 }), 1)
  const before = await vault.loadGrant(ONE)
  await vault.saveIssued(issuedGrant('c', { ...issuedAt(AT), dueAt: AT * 9 }), 2)
  const after = await vault.loadGrant(ONE)

  t.match(before, { uninstallReportedAt: AT, dueAt: AT - 1 + 60_000 }, 'checked again, but not at once')
  t.match(after, { uninstallReportedAt: null, dueAt: AT * 9 })
})

onEachDatabase(
  t,
  'a grant is uninstalled once its uninstall was reported and HighLevel has ended it',
  async (t, { open }) => {
    const vault = await open()
    await vault.installGrant(issuedGrant('a'), install(1))
    await vault.claimGrant(ONE, 1, lease('me', AT))

    const outcomes = [await vault.confirmUninstall(ONE, AT)]
    await vault.reportUninstall(ONE, AT, AT)
    outcomes.push(await vault.confirmUninstall(ONE, AT))
    await vault.recordFailure(ONE, 1, 'me', ended('spent'))
    outcomes.push(await vault.confirmUninstall(ONE, AT + 1), await vault.confirmUninstall(ONE, AT + 2))

    t.strictSame(outcomes, [false, false, true, false])
    t.match(await vault.loadGrant(ONE), {
      state: 'uninstalled',
      tokens: null,
      generation: 2,
      uninstallReportedAt: null
    })
  }
)

onEachDatabase(t, 'an install after the report closes the report', async (t, { open }) => {
  const vault = await open()
  await vault.installGrant(issuedGrant('a'), install(1))
  await vault.reportUninstall(ONE, AT, AT)
  await vault.installGrant(issuedGrant('b'), install(AT + 1))

  t.match(await vault.loadGrant(ONE), { uninstallReportedAt: null, state: 'connected' })
  t.equal(await vault.confirmUninstall(ONE, AT + 2), false)
})

onEachDatabase(
  t,
  'after a clock ran ahead, an uninstall can still be reported, disproved and confirmed',
  async (t, database) => {
    const vault = await database.open()
    const hour = 3_600_000
    await vault.installGrant(issuedGrant('a'), install(AT + hour))
    await vault.reportUninstall(ONE, AT + hour, AT)

    await vault.saveIssued(issuedGrant('b', { ...issuedAt(AT), dueAt: AT * 9 }), 1)
    const disproved = await vault.loadGrant(ONE)
    await vault.reportUninstall(ONE, AT + 1, AT + 1)
    await vault.claimGrant(ONE, 2, lease('me', AT + 1))
    await vault.recordFailure(ONE, 2, 'me', ended('spent'))

    t.match(disproved, { uninstallReportedAt: null, dueAt: AT * 9 })
    t.equal(await vault.confirmUninstall(ONE, AT + 2), true)
  }
)

onEachDatabase(
  t,
  'the uninstall of a company also ends the grants minted from it, and no others',
  async (t, { open }) => {
    const vault = await open()
    const subject = 'company:company1'
    await vault.installGrant(issuedGrant('c', { subject }), install(1))
    await vault.addMintedLocation('minted', 'company1', 2, mintOptions())
    await vault.installGrant(issuedGrant('own'), install(2))
    await vault.reportUninstall(subject, AT, AT)
    await vault.claimGrant(subject, 1, lease('me', AT))
    await vault.recordFailure(subject, 1, 'me', ended('spent'))

    t.equal(await vault.confirmUninstall(subject, AT), true)
    t.match(await vault.loadGrant('location:minted'), { state: 'uninstalled' })
    t.match(await vault.loadGrant(ONE), { state: 'connected' })
  }
)
