"""project.py DIR: writes a project of 500 modules in TypeScript, JSX, CSS and JSON that import each other."""
import os, sys

def main(top):
    os.makedirs(top + '/src/lib', exist_ok=True)
    n = 500
    for i in range(n):
        below = sorted({j for j in (2 * i + 1, 2 * i + 2, i + 37) if i < j < n})
        ext = ('ts', 'tsx', 'js', 'jsx')[i % 4]
        lines = ["import { m%d } from './m%d';" % (j, j) for j in below]
        if i % 25 == 0:
            lines.append("import data from './d%d.json';" % i)
            open('%s/src/lib/d%d.json' % (top, i), 'w').write('{"id": %d, "name": "item %d", "values": [%s]}\n' % (i, i, ', '.join(map(str, range(20)))))
        if i % 50 == 0:
            lines.append("import './s%d.css';" % i)
            open('%s/src/lib/s%d.css' % (top, i), 'w').write('.c%d { color: #%06x; & > p { margin: %dpx } }\n' % (i, i * 7919 % 0xffffff, i % 17))
        typed = ext in ('ts', 'tsx')
        lines.append('/* module %d: \u00e9\u4e2d\U0001f600 */' % i)
        lines.append('const local%d = { a: %d, b: `text ${%d + 1}`, c: [..."abc"] };' % (i, i, i))
        lines.append('export class C%d { #x = %d; get x()%s { return this.#x ?? 0; } static { C%d.y = "s"; }%s }' %
                     (i, i, ': number' if typed else '', i, ' static y: string;' if typed else ' static y;'))
        if ext in ('tsx', 'jsx'):
            lines.append('export const V%d = (p%s) => <div className="c%d" {...p}>{p.a}<b>{%d}</b></div>;' % (i, ': any' if typed else '', i, i))
        body = ' + '.join(['local%d.a' % i] + ['m%d(x)' % j for j in below] + (['data.id'] if i % 25 == 0 else []))
        lines.append('export function m%d(x%s)%s { if (x > 1e6) { debugger; return -1 } return x < 0 ? new C%d().x : %s; }' %
                     (i, ': number' if typed else '', ': number' if typed else '', i, body))
        lines.append('export const unused%d = async () => { for await (const q of [m%d(%d)]) console.log(q?.toString()) };' % (i, i, i))
        open('%s/src/lib/m%d.%s' % (top, i, ext), 'w').write('\n'.join(lines) + '\n')
    open(top + '/src/main.ts', 'w').write("import { m0 } from './lib/m0';\nconsole.log(m0(-1));\n")

main(sys.argv[1])
