"""Programs out of npm packages, unpacked once."""
import glob, os, shutil, subprocess, tempfile

ESBUILD, NGROK = '0.25.0', '2.3.41'

class Missing(Exception):
    """npm or its registry cannot be reached; the text says why."""

def package(cache, name, version, program):
    """The path of a program of an npm package, below the directory cache."""
    at = os.path.join(cache, name.replace('/', '+') + '-' + version)
    path = os.path.join(at, 'package', program)
    if not os.path.exists(path):
        if not shutil.which('npm'):
            raise Missing('npm is not installed')
        os.makedirs(cache, exist_ok=True)
        tmp = tempfile.mkdtemp(dir=cache)
        r = subprocess.run(['npm', 'pack', '--silent', '%s@%s' % (name, version)], cwd=tmp, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        got = glob.glob(tmp + '/*.tgz')
        if r.returncode or not got:
            shutil.rmtree(tmp)
            raise Missing('npm pack %s@%s: %s' % (name, version, r.stdout.strip()[-300:]))
        subprocess.run(['tar', 'xzf', got[0], '-C', tmp], check=True)
        try:
            os.rename(tmp, at)
        except OSError:
            shutil.rmtree(tmp)
    return path
