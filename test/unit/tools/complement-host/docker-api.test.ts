import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DockerClient, tarOf } from './docker-client.ts';

// Every address of 127/8 is there on Linux only, as the tool itself is for Linux only.
const onLinux = describe.skipIf(process.platform !== 'linux');

let docker: DockerClient;
beforeEach(async () => {
  docker = await new DockerClient().listen();
});
afterEach(() => docker.stop());

const filter = (...labels: string[]) =>
  `filters=${encodeURIComponent(JSON.stringify({ label: Object.fromEntries(labels.map((label) => [label, true])) }))}`;

describe('the Docker Engine API', () => {
  it('says which version it is, so that a client can agree on one', async () => {
    const ping = await docker.call('GET', '/_ping');
    expect(ping.status).toBe(200);
    expect(ping.headers['api-version']).toBe('1.45');
    expect(ping.headers.ostype).toBe('linux');
    expect((await docker.call('HEAD', '/_ping')).status).toBe(200);
  });

  it.each([
    ['GET', '/volumes'],
    ['DELETE', '/_ping'],
    ['GET', '/containers/nobody/json'],
    ['DELETE', '/images/sha256:none'],
    ['DELETE', '/networks/none'],
  ])('answers %s %s, which is not there, as Docker does, and tells the person', async (method, path) => {
    const { status, json } = await docker.call(method, path);
    expect(status).toBe(404);
    expect(json.message).toEqual(expect.any(String));
    expect(docker.warnings).toEqual([expect.stringContaining(path)]);
  });

  it.each([
    ['not JSON', Buffer.from('{')],
    ['no network', { Image: 'lantern', NetworkingConfig: { EndpointsConfig: {} } }],
    ['no image', { NetworkingConfig: { EndpointsConfig: { network: {} } } }],
    ['an environment that is no list', { Image: 'lantern', Env: {}, NetworkingConfig: { EndpointsConfig: { a: {} } } }],
  ])('refuses to create a container from %s', async (_what, body) => {
    expect((await docker.call('POST', '/containers/create?name=a', body)).status).toBe(400);
    expect(docker.engine.listContainers()).toEqual([]);
  });

  it('finds networks by their labels', async () => {
    const made = await docker.call('POST', '/networks/create', { Name: 'one', Labels: { pkg: 'csapi', bp: 'x' } });
    expect(made.status).toBe(201);
    await docker.call('POST', '/networks/create', { Name: 'two', Labels: { pkg: 'fed' } });
    const names = async (query: string) =>
      (await docker.call('GET', `/networks?${query}`)).json.map(({ Name }: { Name: string }) => Name);
    expect(await names('')).toEqual(['one', 'two']);
    expect(await names(filter('pkg'))).toEqual(['one', 'two']);
    expect(await names(filter('pkg=csapi', 'bp=x'))).toEqual(['one']);
    expect(await names(filter('pkg=csapi', 'bp=y'))).toEqual([]);
    expect((await docker.call('DELETE', `/networks/${made.json.Id}`)).status).toBe(204);
    expect(await names('')).toEqual(['two']);
  });
});

onLinux('a container', () => {
  it('runs a homeserver that finds its name and its files, and is reached through a published port', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    const archive = tarOf('/complement/ca/ca.crt', 'a certificate');
    expect((await docker.call('PUT', `/containers/${id}/archive?path=%2F`, archive)).status).toBe(200);
    await docker.call(
      'PUT',
      `/containers/${id}/archive?path=%2F`,
      tarOf('/complement/appservice/bridge.yaml', 'id: a'),
    );
    await docker.start(id);
    expect(await docker.ask(id)).toEqual({
      name: 'hs1',
      starts: 'hs1;',
      authority: 'a certificate',
      services: ['bridge.yaml'],
    });
    const { json } = await docker.call('GET', `/containers/complement_hs1/json`);
    expect(json).toMatchObject({
      Id: id,
      Name: '/complement_hs1',
      State: { Status: 'running', Running: true, Paused: false, Pid: expect.any(Number) },
      Config: { Image: 'lantern:latest', Labels: { complement_hs_name: 'hs1' } },
    });
  });

  it('keeps what it wrote when it is stopped and started again', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    await docker.start(id);
    expect((await docker.call('POST', `/containers/${id}/stop?t=30`)).status).toBe(204);
    const stopped = await docker.call('GET', `/containers/${id}/json`);
    expect(stopped.json.State).toMatchObject({ Status: 'exited', Running: false, Pid: 0 });
    await docker.start(id);
    expect(await docker.ask(id)).toMatchObject({ starts: 'hs1;hs1;' });
    expect(docker.warnings).toEqual([]);
  });

  it('is killed when it has not ended in the time it was given', async () => {
    const id = await docker.create('complement_hs1', 'hs1', { env: ['STUBBORN=1'] });
    await docker.start(id);
    await docker.call('POST', `/containers/${id}/stop?t=0`);
    expect((await docker.call('GET', `/containers/${id}/json`)).json.State.ExitCode).toBe(128 + 9);
  });

  it('does not stop for a time that is none', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    await docker.start(id);
    expect((await docker.call('POST', `/containers/${id}/stop?t=soon`)).status).toBe(400);
    expect(docker.engine.getContainer(id).isRunning).toBe(true);
  });

  it('is paused and goes on', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    await docker.start(id);
    await docker.call('POST', `/containers/${id}/pause`);
    expect((await docker.call('GET', `/containers/${id}/json`)).json.State).toMatchObject({
      Status: 'paused',
      Paused: true,
    });
    await docker.call('POST', `/containers/${id}/unpause`);
    expect((await docker.call('GET', `/containers/${id}/json`)).json.State.Status).toBe('running');
    expect(await docker.ask(id)).toMatchObject({ name: 'hs1' });
  });

  it('that ends by itself is warned of, with the place of its log; one that was asked to end is not', async () => {
    const asked = await docker.create('complement_hs1', 'hs1');
    await docker.start(asked);
    await docker.call('POST', `/containers/${asked}/kill`);
    expect(docker.warnings).toEqual([]);
    const id = await docker.create('complement_hs2', 'hs2', { env: ['ENDS_WITH=3'] });
    await docker.call('POST', `/containers/${id}/start`);
    const container = docker.engine.getContainer(id);
    await container.ended();
    expect(container.exitCode).toBe(3);
    expect(docker.warnings).toEqual([expect.stringMatching(/hs2 ended by itself \(exit status 3\), see .*hs2.*\.log/)]);
  });

  it('has a log, framed as Docker does it, that is still there when the container is gone', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    await docker.start(id);
    const { bytes } = await docker.call('GET', `/containers/${id}/logs?stdout=1&stderr=1`);
    const text = 'hs1 starts\n';
    expect(bytes).toEqual(Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]));
    expect((await docker.call('DELETE', `/containers/${id}?force=1`)).status).toBe(204);
    const [log = ''] = readdirSync(docker.logDirectory);
    expect(readFileSync(join(docker.logDirectory, log), 'utf8')).toBe(text);
  });

  it('is listed by its labels, and only while it runs unless all are asked for', async () => {
    const first = await docker.create('complement_hs1', 'hs1');
    await docker.create('complement_hs2', 'hs2');
    await docker.start(first);
    const ids = async (query: string) =>
      (await docker.call('GET', `/containers/json?${query}`)).json.map(({ Names }: { Names: string[] }) => Names[0]);
    expect(await ids('')).toEqual(['/complement_hs1']);
    expect(await ids('all=1')).toEqual(['/complement_hs1', '/complement_hs2']);
    expect(await ids(`all=1&${filter('complement_hs_name=hs2')}`)).toEqual(['/complement_hs2']);
    expect(await ids(`all=1&${filter('other')}`)).toEqual([]);
  });

  it('has a name of its own', async () => {
    await docker.create('complement_hs1', 'hs1');
    const body = { Image: 'lantern', NetworkingConfig: { EndpointsConfig: { network: {} } } };
    expect((await docker.call('POST', '/containers/create?name=complement_hs1', body)).status).toBe(409);
  });

  it('needs an image for which there is a driver', async () => {
    const body = { Image: 'synapse:latest', NetworkingConfig: { EndpointsConfig: { network: {} } } };
    const { status, json } = await docker.call('POST', '/containers/create?name=a', body);
    expect([status, json.message]).toEqual([404, expect.stringContaining('no --driver')]);
  });

  it('does not take what is no archive, or has no such folder', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    expect((await docker.call('PUT', `/containers/${id}/archive?path=%2F`, Buffer.from('no tar'))).status).toBe(400);
    const archive = tarOf('a', 'text');
    expect((await docker.call('PUT', `/containers/${id}/archive?path=%2Fnowhere`, archive)).status).toBe(400);
    expect((await docker.call('PUT', `/containers/${id}/archive?path=..%2F..%2F..%2F`, archive)).status).toBe(200);
    expect(readFileSync(join(docker.engine.getContainer(id).root, 'a'), 'utf8')).toBe('text');
  });
});

onLinux('an image', () => {
  it('is a copy of a stopped container, from which others start', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    await docker.start(id);
    expect((await docker.call('POST', `/commit?container=${id}&repo=localhost/complement&tag=a`)).status).toBe(409);
    await docker.call('POST', `/containers/${id}/stop`);
    const changes = ['LABEL "complement_blueprint"="clean"', 'LABEL "access_token_@a:hs1"="abc\\n"'];
    const query = changes.map((change) => `changes=${encodeURIComponent(change)}`).join('&');
    const image = await docker.call('POST', `/commit?container=${id}&repo=localhost/complement&tag=a&${query}`, {});
    expect(image.status).toBe(201);

    const found = await docker.call(
      'GET',
      `/images/json?${filter('complement_blueprint=clean', 'complement_pkg=csapi')}`,
    );
    expect(found.json).toEqual([
      {
        Id: image.json.Id,
        RepoTags: ['localhost/complement:a'],
        Labels: expect.objectContaining({ complement_hs_name: 'hs1', 'access_token_@a:hs1': 'abc\\n' }),
      },
    ]);

    const copy = await docker.create('complement_copy', 'hs1', { image: image.json.Id });
    await docker.start(copy);
    expect(await docker.ask(copy)).toMatchObject({ starts: 'hs1;hs1;' });
    const { json } = await docker.call('GET', `/containers/${copy}/json`);
    expect(json.Config.Labels).toMatchObject({ complement_blueprint: 'clean', 'access_token_@a:hs1': 'abc\\n' });

    expect((await docker.call('DELETE', `/images/${image.json.Id}`)).status).toBe(200);
    expect((await docker.call('GET', '/images/json')).json).toEqual([]);
    expect(await docker.ask(copy)).toMatchObject({ name: 'hs1' });
  });

  it('does not take an instruction that Complement does not write', async () => {
    const id = await docker.create('complement_hs1', 'hs1');
    const change = encodeURIComponent('RUN rm -rf /');
    expect((await docker.call('POST', `/commit?container=${id}&changes=${change}`)).status).toBe(400);
  });
});

onLinux('a network', () => {
  it('is where containers know each other by name, whoever comes later', async () => {
    const hosts = (id: string) =>
      readFileSync(join(docker.engine.getContainer(id).properties.directory, 'hosts'), 'utf8');
    const first = await docker.create('a', 'hs1');
    const second = await docker.create('b', 'hs2');
    const elsewhere = await docker.create('c', 'hs3', { network: 'another' });
    const address = (id: string) => docker.engine.getContainer(id).properties.address;
    expect(hosts(first)).toContain(`${address(second)} hs2\n`);
    expect(hosts(second)).toContain(`${address(first)} hs1\n`);
    expect(hosts(first)).toContain('127.0.0.1 host.docker.internal\n');
    expect(hosts(first)).not.toContain('hs3');
    expect(hosts(elsewhere)).not.toContain('hs1');
    await docker.call('DELETE', `/containers/${second}`);
    expect(hosts(first)).not.toContain('hs2');
  });
});
