import type { Action } from '../command.js';
import { type Check, examineMachine } from '../doctor.js';
import { ExitCode } from '../exit-codes.js';
import { print, table } from '../render.js';

function text(checks: Check[]): string {
  const rows = checks.map(({ name, state, found }) => [state, name, found]);
  const advice = checks.flatMap((check) =>
    check.advice === undefined ? [] : [`${check.name}: ${check.advice}`],
  );
  return [table(['STATE', 'CHECK', 'FOUND'], rows), ...(advice.length === 0 ? [] : ['', ...advice])].join(
    '\n',
  );
}

const doctor: Action = async ({ options }) => {
  const checks = await examineMachine();
  print(checks, options, text);
  return checks.some(({ state }) => state === 'failed') ? ExitCode.REFUSED : ExitCode.DONE;
};
export default doctor;
