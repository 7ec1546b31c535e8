"""`python -m safe_remote_code` is the console command."""

from .cli import main

if __name__ == "__main__":
    main()
