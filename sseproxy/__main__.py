"""`python -m sseproxy`, and the `sseproxy` command."""

from sseproxy.cli import cli


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
