/* exit7: a program that needs nothing. */

int
main(void)
{
	return (7);
}
