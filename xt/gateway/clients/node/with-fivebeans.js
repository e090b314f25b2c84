// A job through fivebeans: put, reserved, deleted. Arguments: host and port.
'use strict';
const assert = require('assert');
const { promisify } = require('util');
const fivebeans = require('fivebeans');

async function work(client) {
  const call = (name, ...rest) => promisify(client[name]).apply(client, rest);
  await call('use', 'fivebeans');
  await call('watch', 'fivebeans');
  const body = 'a job\r\n'.repeat(1000);
  const put = await call('put', 0, 0, 60, body);
  const [id, payload] = await new Promise((done, fail) =>
    client.reserve_with_timeout(5, (error, ...job) => (error ? fail(error) : done(job))));
  assert.deepStrictEqual([id, payload.toString()], [put, body]);
  await call('destroy', id);
  console.log('ok');
  client.quit();
}

const failed = (error) => {
  console.error(error);
  process.exit(1);
};
const client = new fivebeans.client(process.argv[2], Number(process.argv[3]));
client.on('connect', () => work(client).catch(failed)).on('error', failed).connect();
